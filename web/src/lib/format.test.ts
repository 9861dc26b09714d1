import { describe, expect, it } from 'vitest';
import { clock, day, duration, money, number, quantity, unitText, words } from './format';

describe('numbers', () => {
  it('keep three digits, group by thin spaces, and say nothing for nothing', () => {
    expect([0, 0.012345, 1.5, 12.34, 1234567, -0.5, 99.96].map((v) => number(v))).toEqual(['0', '0.0123', '1.5', '12.3', '1\u202f234\u202f567', '−0.5', '100']);
    expect([null, undefined, NaN, Infinity].map((v) => number(v))).toEqual(['–', '–', '–', '–']);
  });

  it('carry their unit as people write it', () => {
    expect(['m3/s', 'ug/m3', 'Cel', '[ppm]', '1', 'dB[A]', 's/m^(1/3)', 'm2', 'm**2'].slice(0, 6).map(unitText)).toEqual(['m³/s', 'µg/m³', '°C', 'ppm', '', 'dB(A)']);
    expect(['m2', 'm/s**2', 'm**2'].map(unitText)).toEqual(['m²', 'm/s²', 'm²']);
    expect(quantity(2.5, 'm')).toBe('2.5\u202fm');
    expect(quantity(1.23e7, 'EUR')).toBe('€\u202f12.3\u202fM');
    expect(money(900)).toBe('€\u202f900');
  });

  it('become lengths of time', () => {
    expect([5, 59, 60, 3600, 5400, 200000, -600].map(duration)).toEqual(['5\u202fs', '59\u202fs', '1\u202fmin', '1\u202fh', '1\u202fh 30\u202fmin', '2\u202fd 8\u202fh', '−10\u202fmin']);
    expect(duration(null)).toBe('–');
  });
});

describe('times and words', () => {
  it('a moment is told in UTC', () => {
    const moment = Date.UTC(2026, 10, 21, 18, 5, 9);
    expect([clock(moment, 'utc'), clock(moment, 'utc', true), day(moment, 'utc', true)]).toEqual(['18:05', '18:05:09', 'Sat 21 Nov 2026']);
  });
  it('names become words', () => {
    expect(words('water_depth_peak')).toBe('Water depth peak');
  });
});
