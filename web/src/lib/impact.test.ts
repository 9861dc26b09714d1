import { describe, expect, it } from 'vitest';
import { amountText, figures, rangeText } from './impact';

describe('impact figures', () => {
  const found = figures({
    people_exposed: 120, people_exposed_by_hazard_class: { H1: 100, H2: 20 }, people_exposed_by_age: { under_15: 20, over_64: 100 },
    loss: { low: 1e6, median: 2e6, high: 4e6 }, people_killed: null, roads_closed_km: 3.25, care_delay: 95,
    buildings_by_damage_state: { none: 90, slight: 3, complete: 1 }, plume_hours: 4,
  });
  const of = (key: string) => found.find((f) => f.key === key)!;

  it('hold each total with its breakdowns', () => {
    expect(of('people_exposed').parts.map((p) => [p.by, p.rows.length])).toEqual([['hazard_class', 2], ['age', 2]]);
    expect(of('people_exposed').parts[1]!.rows[0]!.title).toBe('Under 15');
  });
  it('say that null is not simulated, never 0', () => {
    expect(amountText(of('people_killed').amount, '1')).toBe('not simulated');
    expect(amountText(0, '1')).toBe('0');
  });
  it('know the units of declared names', () => {
    expect(['loss', 'roads_closed_km', 'care_delay', 'people_exposed'].map((k) => of(k).unit)).toEqual(['EUR', 'km', 's', '1']);
  });
  it('show the median and the range of an ensemble', () => {
    expect(amountText(of('loss').amount, 'EUR')).toBe('€\u202f2\u202fM');
    expect(rangeText(of('loss').amount, 'EUR')).toBe('€\u202f1\u202fM to €\u202f4\u202fM');
  });
  it('sum a breakdown that came without its total, and show keys nobody foresaw', () => {
    expect(of('buildings').amount).toBe(4);
    const both = figures({ buildings_exposed: 4, buildings_by_use: { house: 4 } });
    expect(both.map((f) => [f.key, f.parts.length, f.parts[0]!.title])).toEqual([['buildings_exposed', 1, 'Buildings by use']]);
    expect(of('plume_hours').title).toBe('Plume hours');
  });
});
