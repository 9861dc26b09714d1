/** A store whose calls to the server may fail: whether one is under way, and in which words the last one failed. */

import { said } from '../api/client';

export class Tasks {
  failure = $state('');
  busy = $state(false);

  /** Does `task`; false where it failed. */
  protected async work(task: () => Promise<unknown>): Promise<boolean> {
    this.busy = true;
    this.failure = '';
    try {
      await task();
      return true;
    } catch (error) {
      this.failure = said(error);
      return false;
    } finally {
      this.busy = false;
    }
  }
}
