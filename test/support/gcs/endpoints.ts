/** Who answers what. */
import type { Endpoint } from './call.ts'
import { identity, signBlob, token } from './identity.ts'
import type { RequestKind } from './ledger.ts'
import { listObjects } from './list.ts'
import {
  bucketMetadata,
  copyObject,
  deleteObject,
  download,
  objectMetadata,
  patchMetadata,
  testPermissions,
} from './objects.ts'
import { publicObject } from './public-object.ts'
import { cancelSession, continueSession, startSession } from './resumable.ts'
import { noSuchRoute } from './service-error.ts'
import { upload } from './upload.ts'

export const endpoints: Readonly<Record<RequestKind, Endpoint>> = {
  bucket: bucketMetadata,
  permissions: testPermissions,
  list: listObjects,
  metadata: objectMetadata,
  download,
  patch: patchMetadata,
  delete: deleteObject,
  copy: copyObject,
  upload,
  'upload-start': startSession,
  'upload-status': continueSession,
  'upload-cancel': cancelSession,
  'signed-get': publicObject,
  'signed-head': publicObject,
  'public-get': publicObject,
  'public-head': publicObject,
  token,
  sign: signBlob,
  identity,
  unknown: (call) => {
    call.violation('no such operation')
    throw noSuchRoute()
  },
}
