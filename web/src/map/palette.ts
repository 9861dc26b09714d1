/** The colours of the base map, calm enough that live data and water stand out, for dark and for light. */

export interface Palette {
  ground: string;
  land: Record<'forest' | 'grass' | 'farm' | 'built' | 'industry' | 'bare' | 'wetland', string>;
  water: string;
  waterLine: string;
  casing: string;
  road: Record<'motorway' | 'primary' | 'secondary' | 'minor' | 'service' | 'path' | 'rail', string>;
  building: string;
  buildingTall: string;
  buildingEdge: string;
  zone: string;
  label: string;
  labelSoft: string;
  halo: string;
  waterLabel: string;
  icon: string;
  iconGlyph: string;
  iconCare: string;
  iconSafety: string;
  iconPower: string;
  iconWater: string;
  selected: string;
  selectedHalo: string;
  planned: string;
}

export const DARK: Palette = {
  ground: '#10161c',
  land: { forest: '#11201c', grass: '#14231d', farm: '#151c1a', built: '#141b22', industry: '#181b24', bare: '#191c1f', wetland: '#10222a' },
  water: '#0d2c45',
  waterLine: '#164264',
  casing: '#0a0f14',
  road: { motorway: '#69727d', primary: '#545e69', secondary: '#465059', minor: '#343e48', service: '#29323b', path: '#3a4550', rail: '#3f4650' },
  building: '#212b35',
  buildingTall: '#33404d',
  buildingEdge: '#2d3945',
  zone: '#5d7388',
  label: '#b4c0cb',
  labelSoft: '#8593a1',
  halo: '#0b1015',
  waterLabel: '#6fa5cd',
  icon: '#5a6875',
  iconGlyph: '#f2f6f9',
  iconCare: '#b8405a',
  iconSafety: '#3f6fb5',
  iconPower: '#9a7a1d',
  iconWater: '#1f7f96',
  selected: '#ffffff',
  selectedHalo: '#0b1015',
  planned: '#ffb45e',
};

export const LIGHT: Palette = {
  ground: '#eef1f1',
  land: { forest: '#d3e3cf', grass: '#dfebd6', farm: '#e9eddd', built: '#e8eaea', industry: '#e5e3e9', bare: '#e9e6df', wetland: '#d5e5e6' },
  water: '#b3d3e8',
  waterLine: '#8dbbd9',
  casing: '#c3cad0',
  road: { motorway: '#f6dcae', primary: '#fbeed2', secondary: '#ffffff', minor: '#ffffff', service: '#f7f8f8', path: '#b9b2a4', rail: '#a9aeb4' },
  building: '#d8dcdf',
  buildingTall: '#bfc7cd',
  buildingEdge: '#c4cacf',
  zone: '#7c8b99',
  label: '#2f3a44',
  labelSoft: '#5c6873',
  halo: '#ffffff',
  waterLabel: '#2d6b98',
  icon: '#68747f',
  iconGlyph: '#ffffff',
  iconCare: '#b32648',
  iconSafety: '#2a5fae',
  iconPower: '#8a6a08',
  iconWater: '#0f7189',
  selected: '#0b1015',
  selectedHalo: '#ffffff',
  planned: '#b35806',
};
