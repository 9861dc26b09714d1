import { describe, expect, it } from 'vitest';
import { era, fitting, keyStep, share, ticks, timeAt, zoomed } from './timeline';

const H = 3_600_000;
const NOW = Date.UTC(2026, 10, 21, 10);

describe('the time line', () => {
  it('a place on the line and its moment are inverse', () => {
    expect(timeAt([NOW, NOW + H], share([NOW, NOW + H], NOW + 600_000))).toBe(NOW + 600_000);
    expect(timeAt([NOW, NOW + H], 7)).toBe(NOW + H);
  });
  it('ticks are round and not more than asked', () => {
    const found = ticks([NOW - 6 * H, NOW + H], 8);
    expect(found.length).toBeLessThanOrEqual(8);
    expect(found.every((t) => t.time % H === 0)).toBe(true);
    expect(ticks([NOW - 30 * H, NOW], 8).filter((t) => t.major).length).toBe(1);
  });
  it('zooming keeps the moment under the pointer', () => {
    const span = zoomed([NOW, NOW + H], 0.5, NOW + H / 4);
    expect(share(span, NOW + H / 4)).toBeCloseTo(0.25);
    expect(span[1] - span[0]).toBe(H / 2);
  });
  it('a near forecast is shown with now, a far one by itself', () => {
    const near = fitting(NOW, 6 * H, [[NOW, NOW + 4 * H]]);
    expect(near[0]).toBeLessThanOrEqual(NOW - 6 * H);
    expect(near[1]).toBeGreaterThan(NOW + 4 * H);
    const far = fitting(NOW, 6 * H, [[NOW - 900 * H, NOW - 896 * H]]);
    expect(far[1]).toBeLessThan(NOW);
  });
  it('says what is measured and what is forecast', () => {
    expect(era(NOW - H, NOW, null)).toBe('measured');
    expect(era(NOW, NOW, null)).toBe('now');
    expect(era(NOW + H, NOW, null)).toBe('future');
    expect(era(NOW - H, NOW, [NOW - 2 * H, NOW + H])).toBe('forecast');
  });
  it('one key press is one frame of the forecast', () => {
    expect(keyStep([NOW, NOW + H], 300_000)).toBe(300_000);
    expect(keyStep([NOW, NOW + 6 * H], null)).toBe(360_000);
  });
});
