/** Runs each program of the host set in Docker, in an image of its own. */
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { Docker } from '../support/docker.ts'
import { PackageSet } from '../support/package-set.ts'
import { Slipway, Workspace } from '../support/slipway.ts'

const execute = promisify(execFile)

let packages: PackageSet
let workspace: Workspace
let slipway: Slipway
let docker: Docker

const resources = new AsyncDisposableStack()

beforeAll(async () => {
  packages = resources.use(await PackageSet.create())
  workspace = resources.use(await Workspace.create())
  docker = resources.use(await Docker.start())
  slipway = resources.use(await Slipway.start(workspace.settings(packages.folder)))
})
afterAll(() => resources.disposeAsync())

/** Pulls an image and runs a command in it. Returns its stdout. */
async function run(image: string, ...command: string[]): Promise<string> {
  const name = `${slipway.registry}/${image}`
  // Pulled separately, so that the stderr of a failed command does not contain the progress of the pull.
  await docker.run('pull', '--quiet', name)
  return docker.run('run', '--rm', '--network', 'none', name, ...command)
}

const sha256OfA = 'ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb'

const digestInNode = `crypto.createHash('sha256').update('a').digest('hex')`

const digestInPython = `
import bz2, ctypes, curses, decimal, dbm.ndbm, hashlib, lzma, readline, sqlite3, ssl, uuid, zlib
trusted = ssl.create_default_context().cert_store_stats()['x509_ca']
(answer,) = sqlite3.connect(':memory:').execute('select 6 * 7').fetchone()
print(hashlib.sha256(b'a').hexdigest(), answer, trusted > 50)
`

describe('images of one package', () => {
  // Concurrent, because each test mostly waits for other programs.
  test.concurrent.each<[image: string, command: string[], expected: RegExp | string]>([
    ['bashinteractive', ['bash', '-c', 'echo $((6 * 7))'], '42'],
    ['busybox', ['sh', '-c', 'seq 3 | tac | xargs'], '3 2 1'],
    ['bzip2', ['bzip2', '--stdout', '/etc/passwd'], /^BZh/],
    ['coreutils', ['sha256sum', '/dev/null'], /^e3b0c44298fc1c14/],
    ['curl', ['curl', '--silent', 'file:///etc/passwd'], /^root:/],
    ['diffutils', ['diff', '--report-identical', '/etc/passwd', '/etc/passwd'], /are identical$/],
    ['file', ['file', '--brief', '/etc/passwd'], 'ASCII text'],
    ['findutils', ['find', '/etc', '-name', 'passwd'], '/etc/passwd'],
    ['gawk', ['awk', 'BEGIN { print strftime("%Y", 0, 1) }'], '1970'],
    ['git', ['git', 'hash-object', '/dev/null'], 'e69de29bb2d1d6434b8b29ae775ad8c2e48c5391'],
    ['gnugrep', ['grep', '--only-matching', '--perl-regexp', '^no\\w+', '/etc/passwd'], 'nobody'],
    ['gnupg', ['gpg', '--homedir=/tmp', '--print-md', 'SHA256', '/dev/null'], /E3B0C442/],
    ['gnused', ['sed', '--quiet', '1s/:.*//p', '/etc/passwd'], 'root'],
    ['gnutar', ['tar', '--create', '--directory=/etc', 'passwd'], /^passwd\0/],
    ['gzip', ['gunzip', '--version'], /^gunzip \(gzip\)/],
    ['hello', [], 'Hello, world!'],
    ['htop', ['htop', '--version'], /^htop \d/],
    ['iproute2', ['ip', '-brief', 'address'], /^lo .*127\.0\.0\.1/],
    ['jq', ['jq', '--null-input', '--compact-output', '[1, 2] | map(. * 2)'], '[2,4]'],
    ['less', ['less', '/etc/passwd'], /^root:/],
    ['mawk', ['awk', '-F:', 'END { print NR, $1 }', '/etc/passwd'], '2 nobody'],
    ['moreutils', ['errno', 'ENOENT'], 'ENOENT 2 No such file or directory'],
    ['nano', ['nano', '--version'], /GNU nano/],
    ['nginx', ['nginx', '-t'], ''],
    ['nodejs', ['node', '--print', digestInNode], sha256OfA],
    ['openssh', ['ssh-keygen', '-q', '-t', 'ed25519', '-N', '', '-f', '/tmp/key'], ''],
    ['openssl', ['openssl', 'dgst', '-sha256', '/dev/null'], /e3b0c44298fc1c14/],
    ['perl', ['perl', '-MPOSIX', '-MList::Util=sum', '-e', 'print floor(sum(1.5, 2))'], '3'],
    ['procps', ['ps', '--no-headers', '-o', 'comm', '-p', '1'], 'ps'],
    ['python3', ['python3', '-c', digestInPython], `${sha256OfA} 42 True`],
    ['redis', ['redis-server', '--version'], /^Redis server v=/],
    ['ripgrep', ['rg', '--no-line-number', '--pcre2', '(?<=x:)0:0', '/etc/passwd'], /^root/],
    ['rsync', ['rsync', '--list-only', '/etc/passwd'], /passwd$/],
    ['sqlite', ['sqlite3', ':memory:', "select sum(value) from json_each('[20, 22]')"], '42'],
    ['strace', ['strace', '-o', '/dev/stdout', 'strace', '--version'], /^execve\(.*close\(/s],
    ['tini', ['tini', '-g', '--', '/bin/tini', '--version'], /^tini version/],
    ['tree', ['tree', '--noreport', '/bin'], /tree -> \/nix\/store/],
    ['wget', ['wget', '--version'], /^GNU Wget/],
    ['xz', ['xz', '--stdout', '/etc/passwd'], /^.7zXZ/],
    ['zstd', ['zstd', '--quiet', '--stdout', '/etc/passwd'], /^\(/],
  ])('the program of the image %s works', async (image, command, expected) => {
    const output = await run(image, ...command)
    if (typeof expected === 'string') expect(output).toBe(expected)
    else expect(output).toMatch(expected)
  })
})

test('all 20,000 files of a package are in its image', async () => {
  const sum = 'find -L . -type f | sort | xargs cat | sha256sum; find -L . -type f | wc -l'
  const folder = `${await packages.build('many-files')}/share/many-files`
  const inStore = await execute('sh', ['-c', `export LC_ALL=C; cd ${folder}; ${sum}`])
  const inImage = await run('busybox/many-files', 'sh', '-c', `cd /share/many-files; ${sum}`)
  expect(inImage).toBe(inStore.stdout.trim())
  expect(inImage).toMatch(/\n20000$/)
})

/** Shell function that repeats a command until a server in the background answers. */
const retry =
  'retry() { for _ in $(seq 100); do "$@" 2>/tmp/error && return; sleep 0.1; done; cat /tmp/error; }'

/** Runs a bash script in an image. Returns the lines of its stdout. */
async function script(image: string, ...lines: string[]): Promise<string[]> {
  const output = await run(image, 'bash', '-euc', [retry, ...lines].join('\n'))
  return output.split('\n')
}

describe.concurrent('images of several packages', () => {
  test('tar finds bzip2, gzip, xz and zstd in the image', async () => {
    const output = await script(
      'shell/gnutar/bzip2/gzip/xz/zstd',
      'for how in bzip2 gzip xz zstd; do',
      '  tar --create --$how --file=/tmp/a.$how --directory=/etc passwd',
      '  echo $how $(tar --extract --file=/tmp/a.$how --to-stdout | head -c 4)',
      'done',
    )
    expect(output).toEqual(['bzip2 root', 'gzip root', 'xz root', 'zstd root'])
  })

  test('git commits and clones in the image', async () => {
    const output = await script(
      'shell/git',
      'cd /tmp; git init --quiet one; cd one',
      'git config user.name Ann; git config user.email ann@example.com',
      "echo text >file; git add file; git commit --quiet --message 'the first'",
      'git clone --quiet . ../two; git -C ../two log --format=%s',
    )
    expect(output).toEqual(['the first'])
  })

  test('gpg makes a key, signs and verifies in the image', async () => {
    const output = await script(
      'shell/gnupg',
      'export HOME=/tmp',
      "gpg --quiet --batch --passphrase '' --quick-generate-key ann@example.com",
      'echo text >/tmp/text; gpg --quiet --batch --detach-sign /tmp/text',
      'gpg --status-fd=1 --verify /tmp/text.sig',
    )
    expect(output.join('\n')).toMatch(/GOODSIG .*ann@example.com/)
  })

  test('scp finds ssh in the image', async () => {
    const output = await script(
      'shell/openssh',
      'ssh -V 2>&1; scp 127.0.0.1:file /tmp 2>&1 || true',
    )
    expect(output[0]).toMatch(/^OpenSSH_/)
    expect(output.join()).toContain('Connection refused')
  })

  test('redis stores a value in the image', async () => {
    const output = await script(
      'shell/redis',
      "redis-server --save '' >/dev/null &",
      'retry redis-cli set answer 42; redis-cli get answer',
    )
    expect(output).toEqual(['OK', '42'])
  })

  test('nginx serves its welcome page and logs to stdout without further configuration', async () => {
    const output = await script(
      'shell/nginx/curl',
      "nginx -g 'daemon off;' &",
      'retry curl --silent --show-error 127.0.0.1; kill $!; wait $!',
    )
    expect(output).toContain('<h1>Welcome to nginx!</h1>')
    expect(output).toContainEqual(expect.stringContaining('"GET / HTTP/1.1" 200'))
  })

  test('curl, python and git check certificates with SSL_CERT_FILE, wget with its own option', async () => {
    const url = 'https://localhost:4433'
    const output = await script(
      // curl and python3 use OpenSSL; git and wget use GnuTLS.
      'shell/openssl/curl/python3/git/wget',
      'cd /tmp',
      'openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout key -out cert \\',
      '  -subj /CN=localhost -addext subjectAltName=DNS:localhost 2>/dev/null',
      'openssl s_server -accept 4433 -key key -cert cert -www -quiet >/dev/null 2>&1 &',
      'retry openssl s_client -connect localhost:4433 </dev/null >/dev/null',
      'ask() {',
      `  curl --silent --output /dev/null ${url} && echo curl || echo curl: $?`,
      `  python3 -c 'import urllib.request as r; r.urlopen("${url}")' 2>&1 | tail --lines=1`,
      `  git ls-remote ${url} 2>&1 | head --lines=1`,
      '}',
      'ask; echo; SSL_CERT_FILE=/tmp/cert ask',
      'fetch() { wget --quiet --output-document=/dev/null "$@" && echo wget || echo wget: $?; }',
      `fetch ${url}; fetch --ca-certificate=cert ${url}`,
    )
    expect(output).toEqual([
      'curl: 60',
      expect.stringContaining('CERTIFICATE_VERIFY_FAILED'),
      expect.stringContaining('server certificate verification failed'),
      '',
      'curl',
      expect.stringContaining('not valid: is this a git repository?'),
      'wget: 5',
      'wget',
    ])
  })
})

describe.concurrent('services of the example set', () => {
  test('api of the example set answers requests', async () => {
    const output = await script(
      'shell/api/curl',
      'api 2>/dev/null &',
      'ask() { curl --silent --show-error 127.0.0.1:8000/sha256/a; }',
      'retry ask; ask; kill $!; wait $!; id --user',
    )
    expect(output).toEqual([
      `{"sha256": "${sha256OfA}", "times": 1}`,
      `{"sha256": "${sha256OfA}", "times": 2}`,
      '65534',
    ])
  })

  test('web of the example set serves the static site', async () => {
    const output = await script(
      'shell/web/curl',
      'web >/dev/null &',
      'retry curl --silent --show-error 127.0.0.1:8080/news/first.html; kill -QUIT $!; wait $!',
    )
    expect(output).toContain('<h1>We have a web site</h1>')
  })

  test('worker of the example set does jobs', async () => {
    const jobs = [
      { id: 1, kind: 'digest', text: 'a' },
      { id: 2, kind: 'words', text: 'one two' },
      { id: 3, kind: 'colour', text: '' },
    ]
    const lines = jobs.map((job) => `echo '${JSON.stringify(job)}'`)
    const output = await script('shell/worker', `{ ${lines.join('; ')}; } | worker`)
    expect(output.map((line) => JSON.parse(line))).toEqual([
      { id: 1, result: sha256OfA },
      { id: 2, result: 2 },
      { id: 3, error: 'no such kind: colour' },
    ])
  })
})
