/** Style sheet of the status page. The page's Content-Security-Policy allows nothing but its hash. */
export const statusStyle = `
:root {
  --paper: #fbfbfa; --card: #fff; --ink: #1f2328; --quiet: #646b73; --line: #e4e6e8; --link: #1d5fa8;
  --good: #23784a; --busy: #1d5fa8; --wait: #8a6100; --bad: #b3261e; --none: #646b73;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #15181b; --card: #1c2024; --ink: #dfe3e7; --quiet: #98a1aa; --line: #2d3338; --link: #7db4f0;
    --good: #62c08b; --busy: #7db4f0; --wait: #d9ac4c; --bad: #f08a80; --none: #98a1aa;
  }
}
* { box-sizing: border-box; margin: 0; padding: 0; }
body {
  background: var(--paper); color: var(--ink);
  font: 16px/1.5 system-ui, sans-serif; overflow-wrap: anywhere;
  max-width: 54rem; margin: 0 auto; padding: 2rem 1rem 3rem;
}
h1 { font-size: 1.5rem; letter-spacing: -.01em; }
h2 { font-size: 1rem; margin: 2.25rem 0 .6rem; }
h3 { font-size: 1rem; }
a { color: var(--link); text-decoration: none; }
a:hover, a:focus-visible { text-decoration: underline; }
code, pre, .name, h3, strong, .build a { font-family: ui-monospace, Menlo, Consolas, monospace; font-size: .875rem; }
pre {
  background: var(--card); border: 1px solid var(--line); border-radius: .5rem;
  padding: .75rem 1rem; overflow: auto; max-height: 22rem; white-space: pre-wrap;
  font-size: .8125rem; line-height: 1.45; margin: .5rem 0;
}
.command { font-size: .875rem; user-select: all; }
.quiet, .aside, footer { color: var(--quiet); font-size: .875rem; }
.failure { color: var(--bad); font-size: .875rem; white-space: pre-wrap; }
.rows, article { background: var(--card); border: 1px solid var(--line); border-radius: .5rem; list-style: none; }
.rows > li { padding: .7rem 1rem; }
.rows > li + li { border-top: 1px solid var(--line); }
.rows + .quiet { margin-top: .6rem; }
article { padding: .8rem 1rem; }
article + article { margin-top: .75rem; }
article pre { background: var(--paper); margin-bottom: 0; }
.images { list-style: none; display: flex; flex-wrap: wrap; gap: .35rem 1.25rem; margin-top: .3rem; }
.state { white-space: nowrap; font-size: .875rem; color: var(--none); }
.state::before {
  content: ""; display: inline-block; width: .5rem; height: .5rem; border-radius: 50%;
  background: currentColor; margin-right: .4rem; vertical-align: .06rem;
}
.state.stored { color: var(--good); }
.state.building { color: var(--busy); }
.state.queued { color: var(--wait); }
.state.failed { color: var(--bad); }
.state.absent::before { background: none; border: 1.5px solid currentColor; }
header .state { margin-right: .75rem; }
.build { display: flex; flex-wrap: wrap; gap: 0 1rem; align-items: baseline; }
.build a { flex: 1 1 auto; }
.end { display: flex; align-items: baseline; }
.took { min-width: 5.5rem; text-align: right; font-variant-numeric: tabular-nums; font-size: .875rem; }
.stage { white-space: nowrap; }
@media (max-width: 30rem) { .took { min-width: 0; margin-left: .75rem; } }
footer { margin-top: 2.5rem; border-top: 1px solid var(--line); padding-top: .8rem; }
`
