import { expect } from 'vitest'
import { Failure } from '../../service/image/errors.ts'

/** Returns the Failure that work rejects with. @throws if it resolves, or rejects with another error */
export async function failureOf(work: Promise<unknown> | undefined): Promise<Failure> {
  const outcome = await work?.then(
    () => new Error('did not fail'),
    (error: unknown) => error,
  )
  expect(outcome).toBeInstanceOf(Failure)
  return outcome as Failure
}
