/**
 * The environments of git: the user's own for commands that talk to the remote, and one without any
 * configuration for local reads.
 */

/** Variables by which git, ssh and curl find configuration, credentials and proxies. */
const inherited =
  /^(?:HOME|PATH|USER|LOGNAME|TMPDIR|GIT_\w+|SSH_\w+|XDG_CONFIG_HOME|XDG_CACHE_HOME|XDG_RUNTIME_DIR|SSL_CERT_FILE|SSL_CERT_DIR|NIX_SSL_CERT_FILE|KRB5CCNAME|(?:https?|ftp|all|no)_proxy)$/i

/**
 * Variables that name another repository than the mirror (they are set if a git hook starts the service),
 * and tracing, which writes credentials to stderr.
 */
const neverInherited =
  /^GIT_(?:DIR|WORK_TREE|COMMON_DIR|INDEX_FILE|PREFIX|NAMESPACE|OBJECT_DIRECTORY|ALTERNATE_OBJECT_DIRECTORIES|QUARANTINE_PATH|SHALLOW_FILE|GRAFT_FILE|REPLACE_REF_BASE|DEFAULT_HASH|CONFIG|ATTR_SOURCE|(?:TRACE|TRACE2|CURL)(?:_\w+)?)$/

const sshCommand =
  'ssh -o BatchMode=yes -o ConnectTimeout=10 -o ServerAliveInterval=10 -o ServerAliveCountMax=3'

/**
 * Returns the environment for commands that talk to the remote. It contains the user's configuration and
 * credentials for git and ssh. Git never prompts, and its messages are English.
 */
export function remoteGitEnvironment(own: NodeJS.ProcessEnv): Record<string, string> {
  const environment: Record<string, string> = {}
  for (const [name, value] of Object.entries(own)) {
    if (value !== undefined && inherited.test(name) && !neverInherited.test(name)) {
      environment[name] = value
    }
  }
  return { ...environment, LANG: 'C', LC_ALL: 'C', GIT_TERMINAL_PROMPT: '0' }
}

/** Adds an ssh command that never prompts and does not hang, unless the user has an ssh command. */
export function withDefaultSsh(
  environment: Record<string, string>,
  userHasSshCommand: boolean,
): Record<string, string> {
  const own = userHasSshCommand || environment.GIT_SSH_COMMAND || environment.GIT_SSH
  return own ? environment : { ...environment, GIT_SSH_COMMAND: sshCommand }
}

/** Returns the environment for local reads, which no configuration influences. */
export function localGitEnvironment(own: NodeJS.ProcessEnv): Record<string, string> {
  return {
    PATH: own.PATH ?? '/usr/bin:/bin',
    LC_ALL: 'C',
    GIT_CONFIG_GLOBAL: '/dev/null',
    GIT_CONFIG_NOSYSTEM: '1',
  }
}
