import { describe, expect, it } from 'vitest';
import { newestDone, people, range, triage } from './triage';

const DIAGNOSTICS = {
  earthquake: {
    event: { magnitude: 6.3, stations: 3 },
    triage: {
      people_trapped: { low: 1, median: 9, high: 20 },
      hospitals: { beds_expected: 41, beds_needed: { low: 2, median: 50, high: 90 } },
      zones: [
        { zone: 'b', name: '', rank: 2, trapped: { low: 0, expected: 3, high: 9 } },
        { zone: 'a', name: 'Centre', rank: 1, trapped: { low: 0, expected: 5, high: 9 } },
      ],
    },
  },
};

describe('triage', () => {
  it('is in the order of the search, whatever the order of the document', () => {
    const found = triage(DIAGNOSTICS)!;
    expect(found.zones.map((z) => z.name)).toEqual(['Centre', 'b']);
    expect(found.bedsNeeded?.middle).toBe(50);
  });
  it('is null for runs without an earthquake and does not break on strange documents', () => {
    expect(triage({ flood: {} })).toBeNull();
    expect(triage({ earthquake: { triage: { zones: [1, null, { zone: 3 }] } } })?.zones).toEqual([]);
    expect(range({ low: 1, high: 2 })).toBeNull();
  });
  it('never shows a part of a person as nobody', () => {
    expect(people({ low: 0, middle: 0.4, high: 1.6 })).toBe('under 1 (0–2)');
  });
  it('knows the newest run of an event that is done', () => {
    const list = [
      { id: 'c', status: 'running' },
      { id: 'b', status: 'done' },
      { id: 'a', status: 'done' },
      { id: 'other', status: 'done' },
    ];
    expect(newestDone(['a', 'b', 'c'], list)).toBe('b');
    expect(newestDone(['c'], list)).toBe('');
  });
});
