import { expect, test } from 'vitest';
import { onMap, said, series, weeks, type Band, type Outbreak, type Place } from './outbreak';

const band = (...median: number[]): Band => ({ low: median.map((v) => v / 2), lower: median.map((v) => 0.8 * v), median, upper: median.map((v) => 1.2 * v), high: median.map((v) => 2 * v) });
const place = (r: number): Place => ({
  reproduction: band(1, r), infections: band(10, 20), cases_ahead: band(1), admissions_ahead: band(1), weekly_cases_ahead: band(30), weekly_admissions_ahead: band(3),
  reproduction_ahead: band(1, 1, 1, 1, 1, 1, 0.9), infections_ahead: band(21, 22, 23, 24, 25, 26, 27), rising: 0.7,
});
const DAYS = Array.from({ length: 9 }, (_, i) => `2026-01-0${i + 1}`);
const outbreak: Outbreak = { today: '2026-01-02', days: DAYS.slice(0, 2), days_ahead: DAYS.slice(2), city: place(1.4), zones: { old: place(1.4), new: place(0.8) } };

test('what is forecast begins where what was read ends, on one axis', () => {
  const found = series(outbreak, outbreak.city, 'reproduction');
  expect(found.times).toHaveLength(9);
  const [read, forecast] = found.lines;
  expect(read!.values).toEqual([1, 1.4, ...new Array(7).fill(null)]);
  expect(forecast!.values).toEqual([null, 1.4, 1, 1, 1, 1, 1, 1, 0.9]);
  expect(forecast!.low).toHaveLength(9);
});

test('a week stands at its last day', () => {
  expect(weeks(outbreak, outbreak.city.weekly_cases_ahead).times).toEqual([Date.parse('2026-01-09T00:00:00Z') / 1000]);
});

test('zones carry their own number to the map', () => {
  const found = onMap(outbreak, 'reproduction');
  expect(found.table).toEqual({ key: ['old', 'new'], columns: { forecast_reproduction: [1.4, 0.8] } });
  expect(found.column.table).toBe('zone');
  expect(onMap(outbreak, 'rising').table.columns['forecast_rising']).toEqual([0.7, 0.7]);
});

test('a band is said with both ends', () => {
  expect(said(band(1, 2), -1, String)).toBe('2 (1 to 4)');
  expect(said(band(), 0, String)).toBe('–');
});
