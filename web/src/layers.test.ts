import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';

/** main -> panels -> map | ui -> store -> api -> lib: a file imports only from its own room and from rooms below. */
const RANK: Record<string, number> = { lib: 0, api: 1, store: 2, ui: 3, map: 3, panels: 4 };
const root = import.meta.dirname;

function files(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((e) => (e.isDirectory() ? files(join(folder, e.name)) : [join(folder, e.name)]));
}
const sources = files(root).filter((f) => /\.(ts|svelte)$/.test(f));

function room(path: string): string {
  return path.slice(root.length + 1).split('/')[0] ?? '';
}

describe('the rooms of the page', () => {
  it('import only downward', () => {
    const upward = sources.flatMap((file) => {
      const own = room(file);
      const rank = RANK[own];
      if (rank === undefined) return [];
      return [...readFileSync(file, 'utf8').matchAll(/from '(\.[^']+)'/g)].flatMap((m) => {
        const other = room(join(file, '..', m[1]!));
        const bad = other !== own && (RANK[other] === undefined || RANK[other] >= rank);
        return bad ? [`${file.slice(root.length + 1)} imports ${m[1]}`] : [];
      });
    });
    expect(upward).toEqual([]);
  });

  it('hold files of at most 300 lines', () => {
    const long = sources.filter((f) => readFileSync(f, 'utf8').split('\n').length > 301);
    expect(long).toEqual([]);
  });

  it('never write markup that the content security policy forbids', () => {
    const bad = sources.filter((f) => !f.endsWith('.test.ts') && /\sstyle="[^{"]*"|innerHTML|\beval\(|new Function/.test(readFileSync(f, 'utf8')));
    expect(bad).toEqual([]);
  });
});
