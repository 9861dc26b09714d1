/** Who sits here: name and role that go with what is done. There is no sign-in yet; it is what the person says. */

const KEY = 'citytwin.person';

class PersonStore {
  name = $state('');
  role = $state('');

  start(): void {
    try {
      const said = JSON.parse(localStorage.getItem(KEY) ?? '{}') as { name?: unknown; role?: unknown };
      if (typeof said.name === 'string') this.name = said.name;
      if (typeof said.role === 'string') this.role = said.role;
    } catch {
      localStorage.removeItem(KEY);
    }
  }

  keep(): void {
    localStorage.setItem(KEY, JSON.stringify({ name: this.name, role: this.role }));
  }
}

export const person = new PersonStore();
