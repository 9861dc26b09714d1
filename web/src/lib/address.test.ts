import { describe, expect, it } from 'vitest';
import { decode, encode, type Address } from './address';

describe('the address', () => {
  it('comes back as it was written', () => {
    const all: Address = {
      map: { zoom: 14.25, lat: 42.50712, lon: 1.52345, bearing: -20, pitch: 45 }, time: Date.UTC(2026, 10, 21, 18), run: '2026-cloud & burst', against: 'b', mode: 'swipe',
      column: 'water_depth', overlay: 'building.damage_state', selected: { table: 'building', key: 'way/12:3' }, panel: 'runs', layers: { devices: 0, result: 0.5 },
    };
    expect(decode(`#${encode(all)}`)).toEqual(all);
  });
  it('ignores what it cannot read', () => {
    expect(decode('#map=a/b/c&time=soon&layers=devices:7,x&selected=nothing&run=%E0%A4%A')).toEqual({});
    expect(decode('#map=12/95/10/0/0')).toEqual({});
    expect(decode('')).toEqual({});
  });
});
