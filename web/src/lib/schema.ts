/** Turns a JSON Schema (as pydantic writes it) into the fields of a form, so that a new hazard needs no new page code. */

export interface JsonSchema {
  type?: string | string[];
  title?: string;
  description?: string;
  format?: string;
  unit?: string;
  bounds?: Record<string, number>;
  enum?: unknown[];
  const?: unknown;
  default?: unknown;
  properties?: Record<string, JsonSchema>;
  required?: string[];
  items?: JsonSchema;
  prefixItems?: JsonSchema[];
  minItems?: number;
  additionalProperties?: boolean | JsonSchema;
  anyOf?: JsonSchema[];
  oneOf?: JsonSchema[];
  allOf?: JsonSchema[];
  $ref?: string;
  $defs?: Record<string, JsonSchema>;
  minimum?: number;
  maximum?: number;
  exclusiveMinimum?: number;
  exclusiveMaximum?: number;
}

export type FieldKind =
  | 'quantity' | 'number' | 'whole' | 'text' | 'yes' | 'choice'
  | 'place' | 'line' | 'area' | 'group' | 'list' | 'series' | 'union' | 'free';

export interface Field {
  kind: FieldKind;
  title: string;
  description: string;
  /** SI unit of a quantity. */
  unit: string;
  /** Bounds in words, or nothing. */
  range: string;
  required: boolean;
  /** A value to begin with, as the description says it ("as in 60 mm/h"). */
  example: string;
  standard: unknown;
  options: unknown[];
  /** Entries of a group. */
  entries: { name: string; field: Field }[];
  /** What a list holds, or what a series maps times to. */
  item: Field | null;
  /** The ways to fill a union. */
  ways: Field[];
}

/** The field of a schema; `root` holds its $defs. */
export function fieldOf(schema: JsonSchema, root: JsonSchema = schema, name = '', required = true, depth = 0): Field {
  const opened = open(schema, root);
  const ways = (opened.anyOf ?? opened.oneOf ?? []).filter((s) => s.type !== 'null');
  if (ways.length === 1) {
    const only = fieldOf(ways[0]!, root, name, required, depth + 1);
    const description = opened.description ?? only.description;
    return { ...only, title: readable(name || opened.title || only.title), description, example: exampleIn(description), standard: opened.default, required };
  }
  const field = blank(opened, name, required);
  if (depth > 8) return field;
  if (ways.length > 1) return { ...field, kind: 'union', ways: ways.map((s) => fieldOf(s, root, '', required, depth + 1)) };
  return shaped(field, opened, root, depth);
}

function blank(schema: JsonSchema, name: string, required: boolean): Field {
  const description = schema.description ?? '';
  return {
    kind: 'free', title: readable(name || schema.title || ''), description, unit: schema.unit ?? '', range: rangeText(schema), required,
    example: exampleIn(description), standard: schema.default, options: schema.enum ?? (schema.const !== undefined ? [schema.const] : []),
    entries: [], item: null, ways: [],
  };
}

const PLAIN: Record<string, FieldKind> = { boolean: 'yes', integer: 'whole', number: 'number', string: 'text' };

function shaped(field: Field, schema: JsonSchema, root: JsonSchema, depth: number): Field {
  const type = Array.isArray(schema.type) ? schema.type.find((t) => t !== 'null') : schema.type;
  if (schema.format === 'quantity') return { ...field, kind: 'quantity' };
  if (schema.format === 'lonlat') return { ...field, kind: 'place' };
  if (field.options.length > 0) return { ...field, kind: 'choice' };
  const plain = PLAIN[type ?? ''];
  if (plain) return { ...field, kind: plain };
  if (type === 'array') return listed(field, schema, root, depth);
  if (schema.properties) {
    const must = new Set(schema.required ?? []);
    const entries = Object.entries(schema.properties).map(([name, s]) => ({
      name,
      field: fieldOf(s, root, name, must.has(name), depth + 1),
    }));
    return { ...field, kind: 'group', entries };
  }
  if (typeof schema.additionalProperties === 'object') {
    return { ...field, kind: 'series', item: fieldOf(schema.additionalProperties, root, '', true, depth + 1) };
  }
  return field;
}

function listed(field: Field, schema: JsonSchema, root: JsonSchema, depth: number): Field {
  if (!schema.items) return field;
  const item = fieldOf(schema.items, root, '', true, depth + 1);
  if (item.kind !== 'place') return { ...field, kind: 'list', item };
  const area = (schema.minItems ?? 0) >= 3 || schema.format === 'area' || schema.format === 'polygon';
  return { ...field, kind: area ? 'area' : 'line', item };
}

function open(schema: JsonSchema, root: JsonSchema): JsonSchema {
  const refs = [schema, ...(schema.allOf ?? [])];
  let out: JsonSchema = { ...schema };
  for (const part of refs) {
    const name = part.$ref?.split('/').pop();
    const found = name ? root.$defs?.[name] : undefined;
    if (found) out = { ...open(found, root), ...dropRef(out) };
  }
  return out;
}

function dropRef(schema: JsonSchema): JsonSchema {
  const copy = { ...schema };
  delete copy.$ref;
  delete copy.allOf;
  return copy;
}

function readable(name: string): string {
  const text = name.replace(/_/g, ' ');
  return text.charAt(0).toUpperCase() + text.slice(1);
}

function rangeText(schema: JsonSchema): string {
  const b: Record<string, number | undefined> = schema.bounds ?? {
    minimum: schema.minimum, maximum: schema.maximum,
    exclusiveMinimum: schema.exclusiveMinimum, exclusiveMaximum: schema.exclusiveMaximum,
  };
  const parts: string[] = [];
  if (b['minimum'] !== undefined) parts.push(`≥ ${b['minimum']}`);
  if (b['exclusiveMinimum'] !== undefined) parts.push(`> ${b['exclusiveMinimum']}`);
  if (b['maximum'] !== undefined) parts.push(`≤ ${b['maximum']}`);
  if (b['exclusiveMaximum'] !== undefined) parts.push(`< ${b['exclusiveMaximum']}`);
  return parts.join(', ');
}

function exampleIn(description: string): string {
  return /\bas in ([^,{]+?)(?: or\b| of\b|,|;|$)/.exec(description)?.[1]?.trim() ?? '';
}

/** A first value for a field that someone opens: what is required, and quantities that have an example. */
export function initial(field: Field): unknown {
  if (field.kind === 'quantity') return field.example || written(field);
  if (field.kind === 'group') return opened(field);
  if (field.kind === 'union' && field.example && field.ways[0]?.kind === 'quantity') return field.example;
  if (field.standard !== undefined && field.standard !== null) return structuredClone(field.standard);
  return (EMPTY[field.kind] ?? (() => ''))(field);
}

const EMPTY: Partial<Record<FieldKind, (field: Field) => unknown>> = {
  list: ({ item }) => (item?.kind === 'group' || item?.kind === 'union' ? [initial(item)] : []),
  line: () => [],
  area: () => [],
  place: () => [],
  series: () => ({}),
  yes: () => false,
  choice: (field) => field.options[0],
  union: (field) => initial(field.ways[0]!),
};

function opened(field: Field): unknown {
  const shown = field.entries.filter(({ field: f }) => f.required || (f.kind === 'quantity' && f.example));
  return Object.fromEntries(shown.map((e) => [e.name, initial(e.field)]));
}

function written(field: Field): unknown {
  return typeof field.standard === 'number' ? `${field.standard} ${field.unit}` : (field.standard ?? '');
}

/** Which way of a union a value follows: the first whose kind fits, else 0. */
export function wayOf(field: Field, value: unknown): number {
  const found = field.ways.findIndex((way) => fits(way, value));
  return Math.max(0, found);
}

function fits(way: Field, value: unknown): boolean {
  if (way.kind === 'group') {
    if (!isRecord(value)) return false;
    const names = new Set(way.entries.map((e) => e.name));
    return Object.keys(value).every((k) => names.has(k)) && way.entries.every((e) => !e.field.required || e.name in value);
  }
  if (way.kind === 'series' || way.kind === 'free') return isRecord(value);
  if (way.kind === 'choice') return way.options.includes(value);
  if (['list', 'line', 'area', 'place'].includes(way.kind)) return Array.isArray(value);
  if (way.kind === 'yes') return typeof value === 'boolean';
  return typeof value === 'string' || typeof value === 'number';
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
