import { describe, expect, it } from 'vitest';
import { nameOf, ruleOf, type Draft } from './rule';

const river: Draft = { kind: 'river_stage', column: 'river_level', sense: 'above', limit: '2.2', after: '2 min', severity: 'severe', title: ' River high ' };

describe('a rule from the form', () => {
  it('carries the unit of its column where the person gave none', () => {
    expect(ruleOf(river, 'm')).toEqual({
      title: 'River high', on: { table: 'device', kind: 'river_stage' }, when: { column: 'river_level', above: '2.2 m' }, severity: 'severe', after: '2 min',
    });
  });
  it('keeps the unit that the person gave', () => {
    expect(ruleOf({ ...river, limit: '220 cm', after: '' }, 'm')).toMatchObject({ when: { above: '220 cm' } });
    expect(ruleOf({ ...river, after: '' }, 'm')).not.toHaveProperty('after');
  });
  it('leaves a number alone where the column has no unit', () => {
    expect(ruleOf({ ...river, limit: '3' }, '1')).toMatchObject({ when: { above: 3 } });
  });
  it('has a name of its own', () => {
    expect(nameOf('River high', [])).toBe('river_high');
    expect(nameOf('River high', ['river_high', 'river_high_2'])).toBe('river_high_3');
    expect(nameOf('Crue à 3 m', [])).toBe('crue_a_3_m');
    expect(nameOf('3 Uhr', [])).toBe('rule_3_uhr');
    expect(nameOf('雨', [])).toBe('rule');
  });
});
