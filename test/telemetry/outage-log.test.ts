import { expect, test } from 'vitest'
import { OutageLog } from '../../service/telemetry/outage-log.ts'
import { RecordingLog } from '../support/recording-log.ts'

test('an outage is logged when it begins and when it ends, however many attempts fail', () => {
  const log = new RecordingLog()
  const outages = new OutageLog(log)
  outages.recovered('git can be fetched again')
  for (let outage = 1; outage <= 2; outage += 1) {
    for (const attempt of [1, 2, 3]) outages.failed({ outage, attempt }, 'git cannot be fetched')
    for (const ref of ['main', 'next']) outages.recovered('git can be fetched again', { ref })
  }
  const line = (level: string, fields: object, message: string) => ({ level, fields, message })
  expect(log.lines).toEqual([
    line('warn', { outage: 1, attempt: 1 }, 'git cannot be fetched'),
    line('info', { ref: 'main' }, 'git can be fetched again'),
    line('warn', { outage: 2, attempt: 1 }, 'git cannot be fetched'),
    line('info', { ref: 'main' }, 'git can be fetched again'),
  ])
})
