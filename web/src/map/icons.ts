/** Pictures of facilities, drawn here as paths in a 24 x 24 box so that nothing is fetched. */

import type { Map } from 'maplibre-gl';
import { palette } from './style';

type Tone = 'icon' | 'iconCare' | 'iconSafety' | 'iconPower' | 'iconWater';

const GLYPHS: Record<string, [path: string, tone: Tone]> = {
  hospital: ['M10 5h4v5h5v4h-5v5h-4v-5H5v-4h5z', 'iconCare'],
  clinic: ['M10.500 6h3v4.500H18v3h-4.500V18h-3v-4.500H6v-3h4.500z', 'iconCare'],
  doctors: ['M10.500 6h3v4.500H18v3h-4.500V18h-3v-4.500H6v-3h4.500z', 'iconCare'],
  pharmacy: ['M8 5h8v3h-1v2h2v9H7v-9h2V8H8zm3 7v1.500H9.500v2H11V17h2v-1.500h1.500v-2H13V12z', 'iconCare'],
  care_home: ['M12 19 6 13a4 4 0 0 1 6-5 4 4 0 0 1 6 5z', 'iconCare'],
  ambulance_station: ['M4 8h10v3h3l3 3v3h-2a2 2 0 0 1-4 0h-4a2 2 0 0 1-4 0H4zm4 1.500v1.500H6.500v1.500H8V14h1.500v-1.500H11V11H9.500V9.500z', 'iconCare'],
  fire_station: ['M12 4c1 3 5 5 5 10a5 5 0 0 1-10 0c0-2 1-3 2-4 0 1 .5 2 1.500 2C10 9 11 6 12 4z', 'iconSafety'],
  police: ['M12 4l7 2.500v5c0 4-3 7-7 8.500-4-1.500-7-4.500-7-8.500v-5z', 'iconSafety'],
  shelter: ['M12 4l8 7h-2v8h-4v-5h-4v5H6v-8H4z', 'iconSafety'],
  townhall: ['M12 4l8 4v2H4V8zM6 11h2v6H6zm5 0h2v6h-2zm5 0h2v6h-2zM4 18h16v2H4z', 'iconSafety'],
  power_plant: ['M13 3 6 13h5l-1 8 8-11h-5z', 'iconPower'],
  power_substation: ['M13 4 7 13h4l-1 7 7-10h-4z', 'iconPower'],
  telecom: ['M11 11h2l3 9h-2l-2-6-2 6H8zm1-6a4 4 0 0 1 4 4h-1.500a2.500 2.500 0 0 0-5 0H8a4 4 0 0 1 4-4z', 'iconPower'],
  water_works: ['M12 4c3 4 5 6.500 5 9.500a5 5 0 0 1-10 0C7 10.500 9 8 12 4z', 'iconWater'],
  wastewater_plant: ['M12 4c3 4 5 6.500 5 9.500a5 5 0 0 1-10 0C7 10.500 9 8 12 4zm-2.500 9v1.500h5V13z', 'iconWater'],
  pumping_station: ['M12 5a7 7 0 1 1 0 14 7 7 0 0 1 0-14zm-2 3.500v7l6-3.500z', 'iconWater'],
  school: ['M12 5l9 4-9 4-9-4zM7 12.500l5 2.300 5-2.300V16c-1.500 1.300-3 2-5 2s-3.500-.7-5-2z', 'icon'],
  university: ['M12 5l9 4-9 4-9-4zM7 12.500l5 2.300 5-2.300V16c-1.500 1.300-3 2-5 2s-3.500-.7-5-2z', 'icon'],
  kindergarten: ['M6 6h5v5H6zm7 0h5v5h-5zm-7 7h5v5H6zm9.500 0a2.500 2.500 0 1 1 0 5 2.500 2.500 0 0 1 0-5z', 'icon'],
  community_centre: ['M8 6a2 2 0 1 1 0 4 2 2 0 0 1 0-4zm8 0a2 2 0 1 1 0 4 2 2 0 0 1 0-4zM4.500 18c0-4 1.500-6.500 3.500-6.500s3.500 2.500 3.500 6.500zm8 0c0-4 1.500-6.500 3.500-6.500s3.500 2.500 3.500 6.500z', 'icon'],
  fuel: ['M6 5h7v14H6zm1.500 2v4h4V7zM14 9l3 2v6h-1.500v-3H14z', 'icon'],
  bus_station: ['M6 6h12v10h-1v2h-2v-2H9v2H7v-2H6zm1.500 2v4h9V8z', 'icon'],
  railway_station: ['M7 5h10v10l-1.500 1.500L17 19h-2l-1.500-2h-3L9 19H7l1.500-2.500L7 15zm1.500 2v4h7V7z', 'icon'],
  other: ['M12 8a4 4 0 1 1 0 8 4 4 0 0 1 0-8z', 'icon'],
};

const SIDE = 26;
const RATIO = 2;

/** Puts all facility pictures into the map, or replaces them for the other theme. */
export function addIcons(map: Map, dark: boolean): void {
  const p = palette(dark);
  for (const [name, [path, tone]] of Object.entries(GLYPHS)) {
    const image = picture(path, p[tone], p.iconGlyph, p.halo);
    const id = `facility-${name}`;
    if (map.hasImage(id)) map.updateImage(id, image);
    else map.addImage(id, image, { pixelRatio: RATIO });
  }
}

function picture(path: string, fill: string, glyph: string, edge: string): ImageData {
  const canvas = document.createElement('canvas');
  canvas.width = SIDE * RATIO;
  canvas.height = SIDE * RATIO;
  const draw = canvas.getContext('2d', { willReadFrequently: true })!;
  draw.scale(RATIO, RATIO);
  draw.fillStyle = fill;
  draw.strokeStyle = edge;
  draw.lineWidth = 1.5;
  draw.beginPath();
  draw.roundRect(2, 2, SIDE - 4, SIDE - 4, 7);
  draw.fill();
  draw.stroke();
  draw.translate(SIDE / 2, SIDE / 2);
  draw.scale(0.78, 0.78);
  draw.translate(-12, -12);
  draw.fillStyle = glyph;
  draw.fill(new Path2D(path), 'evenodd');
  return draw.getImageData(0, 0, canvas.width, canvas.height);
}
