/** Studies to begin from when searching for measures; they go with any city that has people. */

export const STUDIES: Record<string, string> = {
  epidemic: `name: Which measures against the epidemic
scenario:
  name: Epidemic
  start: now
  duration: 120 d
  every: 1 d
  seed: 1
  hazards:
    - epidemic: {disease: covid, seeds: [{people: 20}]}
members: 3
evaluations: 40
decisions:
  schools closed:
    do: {at: 20 d, school_closure: {duration: 40 d}}
  closed from: {of: schools closed, path: at, choose: [10 d, 20 d, 40 d]}
  masks:
    do: {at: 10 d, masks: {compliance: 0.6}}
  tests and calls:
    do: {at: 10 d, test_trace_isolate: {tested: 0.4, capacity: 400}}
  vaccine:
    do: {at: 15 d, vaccination: {doses_a_day: 200, order: [60+, 18+]}}
  vaccine first for: {of: vaccine, path: vaccination.order, choose: [[60+, 18-59], [18-59, 60+], [18+]]}
objectives:
  - minimise: people_infected
  - minimise: measures_cost
  - minimise: school_days_lost
`,
};
