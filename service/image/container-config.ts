/**
 * The config that a container of the image starts with: Slipway's defaults, overridden by the packages.
 * @see https://github.com/opencontainers/image-spec/blob/v1.1.1/config.md#properties
 */
import { z } from 'zod'
import type { EvaluatedPackage } from '../closure/package.ts'
import { compareCodeUnits } from '../text/order.ts'
import { Failure } from './errors.ts'
import type { ImageName } from './image-name.ts'
import type { ContainerConfig } from './manifest.ts'

const emptyObjects = (key: z.ZodString) => z.record(key, z.strictObject({}))

const port = z
  .string()
  .regex(/^\d{1,5}(\/(tcp|udp|sctp))?$/, 'a port is written 8080, 8080/tcp, 8080/udp or 8080/sctp')
  .refine((text) => Number.parseInt(text, 10) <= 65_535, 'a port is at most 65535')
const variable = z.string().regex(/^[^=\0]+=[^\0]*$/, 'a variable is written NAME=VALUE')
const absolutePath = z.string().startsWith('/', 'the path must begin with "/"')
const words = z.array(z.string())
const nanoseconds = z.int().nonnegative()

/** Every field of the OCI config, and Docker's Healthcheck. An unknown field is an error. */
const packageConfig = z.strictObject({
  User: z.string().optional(),
  ExposedPorts: emptyObjects(port).optional(),
  Env: z.array(variable).optional(),
  Entrypoint: words.optional(),
  Cmd: words.optional(),
  Volumes: emptyObjects(absolutePath).optional(),
  WorkingDir: absolutePath.optional(),
  Labels: z.record(z.string(), z.string()).optional(),
  /** Deprecated field of Windows images, without effect here. */
  ArgsEscaped: z.boolean().optional(),
  StopSignal: z
    .string()
    .regex(/^(SIG[A-Z0-9+-]+|\d{1,2})$/, 'a signal is written SIGTERM or 15')
    .optional(),
  Healthcheck: z
    .strictObject({
      Test: words,
      Interval: nanoseconds.optional(),
      Timeout: nanoseconds.optional(),
      StartPeriod: nanoseconds.optional(),
      Retries: z.int().nonnegative().optional(),
    })
    .optional(),
})
type PackageConfig = z.infer<typeof packageConfig>

/** Search path of a conventional root file system with /bin, /sbin and /usr. */
const searchPath = 'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'
const certificates = 'SSL_CERT_FILE=/etc/ssl/certs/ca-bundle.crt'

/**
 * Returns the defaults, overridden by the `imageConfig` of each package. Where packages differ, the one
 * that wins a file in the link farm also wins a field. Maps and variables are merged by name.
 * @param requested requested packages; added packages bring no config
 * @throws Failure evaluation-failed, naming the package and the field
 */
export function containerConfig(
  name: ImageName,
  requested: readonly EvaluatedPackage[],
  hasCertificates: boolean,
): ContainerConfig {
  const base: PackageConfig = {
    Env: hasCertificates ? [searchPath, certificates] : [searchPath],
    ...defaultCommand(name, requested),
  }
  const weakestFirst = requested.toSorted(
    (a, b) => b.priority - a.priority || compareCodeUnits(b.name, a.name),
  )
  return weakestFirst.reduce<PackageConfig>((config, { name: owner, imageConfig }) => {
    return imageConfig === undefined ? config : merge(config, parse(owner, imageConfig))
  }, base) as ContainerConfig
}

function defaultCommand(
  name: ImageName,
  requested: readonly EvaluatedPackage[],
): { Cmd?: string[] } {
  if (name.hasShell) return { Cmd: ['bash'] }
  const programs = requested.flatMap(({ storePath, mainProgram }) =>
    mainProgram === undefined ? [] : [`${storePath}/bin/${mainProgram}`],
  )
  const [program, ...others] = new Set(programs)
  return program === undefined || others.length > 0 ? {} : { Cmd: [program] }
}

function parse(owner: string, imageConfig: unknown): PackageConfig {
  const parsed = packageConfig.safeParse(imageConfig)
  if (parsed.success) return parsed.data
  const failures = parsed.error.issues.map(({ path, message }) => {
    return `imageConfig${path.map((part) => `.${String(part)}`).join('')}: ${message}`
  })
  throw new Failure('evaluation-failed', `package ${owner}: ${failures.join('; ')}`, {
    // Clients know this field as `faults`.
    detail: { package: owner, faults: failures },
  })
}

function merge(below: PackageConfig, above: PackageConfig): PackageConfig {
  const merged: PackageConfig = { ...below, ...above }
  // As in a Dockerfile, a new entry point removes the command of the old one.
  if (above.Entrypoint !== undefined && above.Cmd === undefined) delete merged.Cmd
  if (below.Env && above.Env) merged.Env = mergeVariables(below.Env, above.Env)
  for (const field of ['ExposedPorts', 'Volumes', 'Labels'] as const) {
    if (below[field] && above[field]) {
      Object.assign(merged, { [field]: { ...below[field], ...above[field] } })
    }
  }
  return merged
}

function mergeVariables(below: readonly string[], above: readonly string[]): string[] {
  const byName = new Map([...below, ...above].map((entry) => [entry.split('=', 1)[0], entry]))
  return [...byName.values()]
}
