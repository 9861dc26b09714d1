/** A simple rule as the form writes it: a measured column of one kind of device beyond a limit. */

export interface Draft {
  kind: string;
  column: string;
  sense: 'above' | 'below';
  limit: string;
  after: string;
  severity: string;
  title: string;
}

/** The rule in the words of rules.toml; `unit` is put behind a bare number. */
export function ruleOf(draft: Draft, unit: string): Record<string, unknown> {
  const bare = /^[-+]?[0-9]*\.?[0-9]+(e[-+]?[0-9]+)?$/i.test(draft.limit.trim());
  const limit = bare ? (unit && unit !== '1' ? `${draft.limit.trim()} ${unit}` : Number(draft.limit)) : draft.limit.trim();
  return {
    title: draft.title.trim(),
    on: { table: 'device', kind: draft.kind },
    when: { column: draft.column, [draft.sense]: limit },
    severity: draft.severity,
    ...(draft.after.trim() ? { after: draft.after.trim() } : {}),
  };
}

/** A name for the file from what people call the rule, different from those `taken`. */
export function nameOf(title: string, taken: string[]): string {
  const plain = title.normalize('NFKD').toLowerCase().replace(/[^a-z0-9]+/g, '_').replace(/^_+|_+$/g, '').slice(0, 60);
  const first = /^[a-z]/.test(plain) ? plain : `rule_${plain}`.replace(/_+$/, '');
  let name = first;
  for (let n = 2; taken.includes(name); n += 1) name = `${first}_${n}`;
  return name;
}
