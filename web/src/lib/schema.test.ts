import { describe, expect, it } from 'vitest';
import { fieldOf, initial, wayOf, type JsonSchema } from './schema';

const lonlat = { format: 'lonlat', type: 'array', prefixItems: [{ type: 'number' }, { type: 'number' }] } as JsonSchema;
const quantity = (unit: string, description = ''): JsonSchema => ({ type: ['string', 'number'], format: 'quantity', unit, description, bounds: { minimum: 0 } });
const rain: JsonSchema = {
  type: 'object', required: ['intensity'],
  properties: { intensity: quantity('m/s', 'Intensity, as in 60 mm/h'), begin: quantity('s'), where: { anyOf: [{ type: 'array', items: lonlat, minItems: 3 }, { type: 'null' }], default: null } },
};
const flood: JsonSchema = {
  type: 'object',
  $defs: { Rain: rain },
  properties: {
    rain: { anyOf: [{ $ref: '#/$defs/Rain' }, { type: 'null' }], default: null },
    along: { type: 'array', items: lonlat, minItems: 2 },
    place: lonlat,
    mode: { enum: ['rough', 'obstacles'], default: 'rough' },
    level: { anyOf: [quantity('m'), { type: 'object', additionalProperties: quantity('m') }], description: 'as in 2 m, or over time' },
    members: { type: 'integer' },
    wild: {},
  },
};

describe('a form from a JSON Schema', () => {
  const field = fieldOf(flood);
  const kind = (name: string): string => field.entries.find((e) => e.name === name)!.field.kind;

  it('knows quantities, places, lines, areas, choices, unions and references', () => {
    expect(['rain', 'along', 'place', 'mode', 'level', 'members', 'wild'].map(kind)).toEqual(['group', 'line', 'place', 'choice', 'union', 'whole', 'free']);
    const inner = field.entries[0]!.field;
    expect(inner.entries.map((e) => [e.name, e.field.kind, e.field.required])).toEqual([['intensity', 'quantity', true], ['begin', 'quantity', false], ['where', 'area', false]]);
    expect(inner.entries[0]!.field).toMatchObject({ unit: 'm/s', range: '≥ 0', example: '60 mm/h' });
  });
  it('begins with what is required, with the example that the description gives', () => {
    expect(initial(field.entries[0]!.field)).toEqual({ intensity: '60 mm/h' });
    expect(initial(field.entries[3]!.field)).toBe('rough');
    expect(initial(field.entries[4]!.field)).toBe('2 m');
  });
  it('finds the way of a union that a value follows', () => {
    const level = field.entries[4]!.field;
    expect([wayOf(level, '2 m'), wayOf(level, { '0 h': '1 m' })]).toEqual([0, 1]);
  });
});
