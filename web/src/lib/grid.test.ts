import { describe, expect, it } from 'vitest';
import { Grid } from './grid';
import { latitude, longitude, mercatorX, mercatorY } from './mercator';

describe('the grid', () => {
  it('finds the same nearest point as looking at all of them', () => {
    let seed = 1;
    const random = (): number => (seed = (seed * 16807) % 2147483647) / 2147483647;
    const x = Float64Array.from({ length: 3000 }, random);
    const y = Float64Array.from({ length: 3000 }, () => 0.3 * random());
    const grid = new Grid(x, y);
    for (let n = 0; n < 200; n += 1) {
      const [px, py, radius] = [random() * 1.2 - 0.1, random() * 0.4 - 0.05, 0.02];
      let [best, distance] = [-1, radius * radius];
      x.forEach((value, i) => {
        const d = (value - px) ** 2 + (y[i]! - py) ** 2;
        if (d <= distance && i % 3 !== 0) [best, distance] = [i, d];
      });
      expect(grid.nearest(px, py, radius, (row) => row % 3 !== 0)).toBe(best);
    }
  });
  it('of nothing finds nothing', () => {
    expect(new Grid([], []).nearest(0, 0, 1)).toBe(-1);
  });
});

describe('web mercator', () => {
  it('is inverted', () => {
    expect(latitude(mercatorY(42.5))).toBeCloseTo(42.5, 9);
    expect(longitude(mercatorX(-71.3))).toBeCloseTo(-71.3, 9);
    expect([mercatorX(0), mercatorY(0)]).toEqual([0.5, 0.5]);
  });
});
