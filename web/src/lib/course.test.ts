import { describe, expect, it } from 'vitest';
import { counted, courses, type Told } from './course';

const result = (more: object): Told => ({ diagnostics: { epidemic: { course: { infections: [1, 2], odd: 'x' }, infected_by_age: { '0-9': 0, '10-19': 4 } } }, ...more });

describe('courses', () => {
  it('are lines of one run', () => {
    expect(courses(result({}), 'epidemic')).toEqual([{ name: 'infections', values: [1, 2] }]);
    expect(courses(result({}), 'flood')).toEqual([]);
  });
  it('have the band of an ensemble', () => {
    const band = { low: [0, 1], median: [1, 3], high: [2, 9] };
    expect(courses(result({ courses: { epidemic: { infections: band } } }), 'epidemic')).toEqual([{ name: 'infections', values: [1, 3], low: [0, 1], high: [2, 9] }]);
  });
  it('count only classes with anything in them', () => {
    expect(counted(result({}), 'epidemic', 'infected_by_age')).toEqual([['10-19', 4]]);
  });
});
