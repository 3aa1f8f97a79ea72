/** The environments that git runs in: the user's own for the network, none of it for local reads. */

/** What git, ssh and curl find their configuration, credentials and proxies by. */
const inherited =
  /^(?:HOME|PATH|USER|LOGNAME|TMPDIR|GIT_\w+|SSH_\w+|XDG_CONFIG_HOME|XDG_CACHE_HOME|XDG_RUNTIME_DIR|SSL_CERT_FILE|SSL_CERT_DIR|NIX_SSL_CERT_FILE|KRB5CCNAME|(?:https?|ftp|all|no)_proxy)$/i

/**
 * Variables that would point git at another repository than the mirror (a git hook that starts the
 * service has them), and tracing, which writes credentials to stderr.
 */
const neverInherited =
  /^GIT_(?:DIR|WORK_TREE|COMMON_DIR|INDEX_FILE|PREFIX|NAMESPACE|OBJECT_DIRECTORY|ALTERNATE_OBJECT_DIRECTORIES|QUARANTINE_PATH|SHALLOW_FILE|GRAFT_FILE|REPLACE_REF_BASE|DEFAULT_HASH|CONFIG|ATTR_SOURCE|(?:TRACE|TRACE2|CURL)(?:_\w+)?)$/

const sshCommand =
  'ssh -o BatchMode=yes -o ConnectTimeout=10 -o ServerAliveInterval=10 -o ServerAliveCountMax=3'

/**
 * The environment for git commands that talk to the remote: the user's git and ssh configuration and
 * credentials, never a question to a terminal, messages in English.
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

/** The same with an ssh that gives up instead of asking or hanging; the user's own ssh command wins. */
export function withImpatientSsh(
  environment: Record<string, string>,
  userHasSshCommand: boolean,
): Record<string, string> {
  const own = userHasSshCommand || environment.GIT_SSH_COMMAND || environment.GIT_SSH
  return own ? environment : { ...environment, GIT_SSH_COMMAND: sshCommand }
}

/** The environment for reading the mirror: nobody's configuration can change what it says. */
export function localGitEnvironment(
  own: NodeJS.ProcessEnv,
  gitDir: string,
): Record<string, string> {
  return {
    PATH: own.PATH ?? '/usr/bin:/bin',
    LC_ALL: 'C',
    GIT_DIR: gitDir,
    GIT_CONFIG_GLOBAL: '/dev/null',
    GIT_CONFIG_NOSYSTEM: '1',
  }
}
