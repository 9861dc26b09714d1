import { describe, expect, it } from 'vitest';
import { codeTable, colour, niceTicks, scale, stops, type Rgb } from './ramps';

function lightness([r, g, b]: Rgb): number {
  const linear = [r, g, b].map((c) => (c / 255 <= 0.04045 ? c / 255 / 12.92 : ((c / 255 + 0.055) / 1.055) ** 2.4));
  const y = 0.2126 * linear[0]! + 0.7152 * linear[1]! + 0.0722 * linear[2]!;
  return y > 0.008856 ? 116 * Math.cbrt(y) - 16 : 903.3 * y;
}

/** Viénot, Brettel and Mollon 1999, Color Res. Appl. 24, 243-252: what a deuteranope sees, in linear RGB. */
function deuteranope(rgb: Rgb): Rgb {
  const [r, g, b] = rgb.map((c) => (c / 255) ** 2.2) as [number, number, number];
  const out = [0.29275 * r + 0.70725 * g, 0.29275 * r + 0.70725 * g, -0.02234 * r + 0.02234 * g + b];
  return out.map((c) => 255 * Math.max(0, Math.min(1, c)) ** (1 / 2.2)) as unknown as Rgb;
}

const SEQUENTIAL = ['depth', 'speed', 'hazard', 'damage', 'heat', 'people', 'share', 'money', 'level'];
const plain = { steps: [], categories: [], start: 0, low: null, high: null };

describe('ramps', () => {
  it.each(SEQUENTIAL.flatMap((name) => [[name, true], [name, false]] as [string, boolean][]))(
    '%s (dark: %s) grows steadily in lightness, for usual eyes and for deuteranopes',
    (name, dark) => {
      for (const eye of [(c: Rgb) => c, deuteranope]) {
        const seen = Array.from({ length: 21 }, (_, i) => lightness(eye(colour(name, i / 20, dark))));
        const up = Math.sign(seen.at(-1)! - seen[0]!);
        for (let i = 1; i < seen.length; i += 1) expect((seen[i]! - seen[i - 1]!) * up).toBeGreaterThan(0);
        expect(Math.abs(seen.at(-1)! - seen[0]!)).toBeGreaterThan(40);
      }
    },
  );

  it('more is always farther from the ground: darker on light, brighter on dark', () => {
    for (const name of ['depth', 'speed', 'hazard', 'damage', 'heat', 'people', 'money']) {
      expect(lightness(colour(name, 1, true))).toBeGreaterThan(lightness(colour(name, 0, true)));
      expect(lightness(colour(name, 1, false))).toBeLessThan(lightness(colour(name, 0, false)));
    }
  });

  it('an unknown ramp is drawn as a level', () => {
    expect(stops('of_a_plug_in', true)).toEqual(stops('level', true));
  });

  it('declared steps get equal room', () => {
    const s = scale({ ramp: 'depth', ...plain, steps: [0.05, 0.5, 1, 2] }, 0, 9, true);
    expect([0.05, 0.5, 1, 2, 99, 0].map((v) => s.position(v))).toEqual([0, 1 / 3, 2 / 3, 1, 1, 0]);
    expect(s.position(0.75)).toBeCloseTo(0.5);
  });

  it('classes start after the one that means nothing happened', () => {
    const s = scale({ ramp: 'damage', ...plain, categories: ['none', 'slight', 'complete'] }, 0, 2, false);
    expect(s.colour(1)).toEqual(colour('damage', 0, false));
    expect(s.colour(2)).toEqual(colour('damage', 1, false));
  });

  it('ticks are round and cover the range', () => {
    expect(niceTicks(0, 9.3, 5)).toEqual([0, 2, 4, 6, 8, 10]);
    expect(niceTicks(-1, 1, 4)).toEqual([-1, -0.5, 0, 0.5, 1]);
    expect(niceTicks(3, 3, 5)).toEqual([3, 4]);
  });

  it('code 0 is transparent and code 255 has the colour of its value', () => {
    const s = scale({ ramp: 'depth', ...plain, steps: [0, 1] }, 0, 1, true);
    const table = codeTable(s, 0, 1 / 255, false);
    expect([...table.subarray(0, 4)]).toEqual([0, 0, 0, 0]);
    expect([...table.subarray(1020, 1023)]).toEqual([...colour('depth', 1, true)]);
  });
});
