import { describe, expect, it } from 'vitest';
import { clock, day, duration, lonLatText, marksText, money, number, quantity, unitText, words } from './format';

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

describe('marks of an axis', () => {
  it('differ from their neighbours, and are short where they may be', () => {
    expect(marksText([1.205, 1.21, 1.215])).toEqual(['1.205', '1.21', '1.215']);
    expect(marksText([99.9975, 100, 100.0025])).toEqual(['99.9975', '100', '100.0025']);
    expect(marksText([0, 50, 100])).toEqual(['0', '50', '100']);
    expect(marksText([1000, 1000.25])).toEqual(['1\u202f000', '1\u202f000.25']);
  });
});

describe('a place', () => {
  it('is named by its hemispheres, without signs', () => {
    expect(lonLatText(-21.02668, 44.99725)).toBe('44.99725° N, 21.02668° W');
    expect(lonLatText(151.2, -33.9)).toBe('33.90000° S, 151.20000° E');
  });
});
