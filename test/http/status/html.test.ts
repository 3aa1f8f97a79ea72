import fc from 'fast-check'
import { expect, test } from 'vitest'
import { html } from '../../../service/http/status/html.ts'

test('html escapes a value between tags and in attributes', () => {
  const hostile = `</pre><script>alert("1")</script>'&amp;`
  expect(html`<p title="${hostile}">${hostile}</p>`.text).toBe(
    '<p title="&lt;/pre&gt;&lt;script&gt;alert(&quot;1&quot;)&lt;/script&gt;&#39;&amp;amp;">' +
      '&lt;/pre&gt;&lt;script&gt;alert(&quot;1&quot;)&lt;/script&gt;&#39;&amp;amp;</p>',
  )
})

test('html keeps Html values, joins lists, and leaves out undefined', () => {
  const items = ['a', 'b<'].map((item) => html`<li>${item}</li>`)
  expect(html`<ul>${items}${undefined}</ul>${7}`.text).toBe('<ul><li>a</li><li>b&lt;</li></ul>7')
})

test('html replaces control characters and marks of text direction', () => {
  expect(html`${'a\u0000b\u001b[31mc\u202ed\u2066e\u0085f'}`.text).toBe(
    'a\ufffdb\ufffd[31mc\ufffdd\ufffde\ufffdf',
  )
  expect(html`${'line\n\ttab'}`.text).toBe('line\n\ttab')
})

test('html leaves no character of markup in any text', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      expect(html`${text}`.text).not.toMatch(/[<>"']|&(?!(?:amp|lt|gt|quot|#39);)/)
    }),
  )
})
