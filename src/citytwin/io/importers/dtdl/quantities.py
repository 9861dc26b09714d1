"""Semantic types and units: of DTDL 2 itself, and of the quantitativeTypes extension of DTDL 3 and 4.

From DTDL.v2.md ("Semantic Type") and DTDL.quantitativeTypes.v1.md. `UNIT_NAMES` gives each unit as `citytwin.units` writes it.
"""

from __future__ import annotations

from collections.abc import Mapping

_BINARY = "bit byte " + " ".join(f"{p}bi{u}" for p in ("ki", "me", "gi", "te", "ex", "ze", "yo") for u in ("bit", "byte"))

UNITS: Mapping[str, str] = {
    "AccelerationUnit": "centimetrePerSecondSquared gForce metrePerSecondSquared",
    "AngleUnit": "degreeOfArc minuteOfArc radian secondOfArc turn",
    "AngularAccelerationUnit": "radianPerSecondSquared",
    "AngularVelocityUnit": "degreePerSecond radianPerSecond revolutionPerMinute revolutionPerSecond",
    "AreaUnit": "acre hectare squareCentimetre squareFoot squareInch squareKilometre squareMetre squareMillimetre",
    "CapacitanceUnit": "farad microfarad millifarad nanofarad picofarad",
    "ChargeUnit": "coulomb",
    "CurrentUnit": "ampere microampere milliampere",
    "DataRateUnit": " ".join(unit + "PerSecond" for unit in _BINARY.split()),
    "DataSizeUnit": _BINARY,
    "DensityUnit": "gramPerCubicMetre kilogramPerCubicMetre",
    "EnergyUnit": "electronvolt gigajoule joule kilojoule kilowattHour megaelectronvolt megajoule",
    "ForceUnit": "newton ounce pound ton",
    "FrequencyUnit": "gigahertz hertz kilohertz megahertz",
    "IlluminanceUnit": "footcandle lux",
    "InductanceUnit": "henry microhenry millihenry",
    "LengthUnit": "astronomicalUnit centimetre foot inch kilometre metre micrometre mile millimetre nanometre nauticalMile",
    "LuminanceUnit": "candelaPerSquareMetre",
    "LuminousFluxUnit": "lumen",
    "LuminousIntensityUnit": "candela",
    "MagneticFluxUnit": "maxwell weber",
    "MagneticInductionUnit": "tesla",
    "MassFlowRateUnit": "gramPerHour gramPerSecond kilogramPerHour kilogramPerSecond",
    "MassUnit": "gram kilogram microgram milligram slug tonne",
    "PowerUnit": "gigawatt horsepower kilowatt kilowattHourPerYear megawatt microwatt milliwatt watt",
    "PressureUnit": "bar inchesOfMercury inchesOfWater kilopascal millibar millimetresOfMercury pascal poundPerSquareInch",
    "ResistanceUnit": "kiloohm megaohm milliohm ohm",
    "SoundPressureUnit": "bel decibel",
    "TemperatureUnit": "degreeCelsius degreeFahrenheit kelvin",
    "TimeUnit": "day hour microsecond millisecond minute nanosecond second year",
    "TorqueUnit": "newtonMetre",
    "Unitless": "percent unity",
    "VelocityUnit": "centimetrePerSecond kilometrePerHour kilometrePerSecond knot metrePerHour metrePerSecond milePerHour "
                    "milePerSecond",
    "VoltageUnit": "kilovolt megavolt microvolt millivolt volt",
    "VolumeFlowRateUnit": "litrePerHour litrePerSecond millilitrePerHour millilitrePerSecond",
    "VolumeUnit": "cubicCentimetre cubicFoot cubicInch cubicMetre fluidOunce gallon litre millilitre",
}  # fmt: skip

MORE_UNITS: Mapping[str, str] = {
    "ApparentEnergyUnit": "gigavoltAmpereHour kilovoltAmpereHour megavoltAmpereHour voltAmpereHour",
    "ApparentPowerUnit": "gigavoltAmpere kilovoltAmpere megavoltAmpere millivoltAmpere voltAmpere",
    "ChargeUnit": "ampereHour milliampereHour",
    "CurrentUnit": "kiloampere",
    "DensityUnit": "microgramPerCubicMetre milligramPerCubicMetre",
    "EnergyUnit": "britishThermalUnit gigawattHour kiloBritishThermalUnit megawattHour milliwattHour terawattHour wattHour",
    "FrequencyUnit": "millihertz",
    "IonizingRadiationDoseUnit": "gray microgray microsievert milligray millisievert sievert",
    "IrradianceUnit": "wattPerSquareMetre",
    "MagneticInductionUnit": "gauss",
    "MassFlowRateUnit": "massPoundPerHour",
    "MassUnit": "massPound",
    "PowerUnit": "britishThermalUnitPerHour gigajoulePerHour joulePerHour joulePerSecond kiloBritishThermalUnitPerHour "
                 "kilojoulePerHour kilojoulePerSecond megajoulePerHour tonOfRefrigeration",
    "PressureUnit": "decapascal hectopascal",
    "RadioactivityUnit": "becquerel gigabecquerel kilobecquerel megabecquerel",
    "ReactiveEnergyUnit": "gigavoltAmpereReactiveHour kilovoltAmpereReactiveHour megavoltAmpereReactiveHour "
                          "voltAmpereReactiveHour",
    "ReactivePowerUnit": "gigavoltAmpereReactive kilovoltAmpereReactive megavoltAmpereReactive millivoltAmpereReactive "
                         "voltAmpereReactive",
    "Unitless": "partsPerBillion partsPerMillion partsPerQuadrillion partsPerTrillion",
    "VolumeFlowRateUnit": "cubicFootPerMinute cubicMetrePerHour cubicMetrePerMinute cubicMetrePerSecond gallonPerHour "
                          "gallonPerMinute litrePerMinute millilitrePerMinute",
}  # fmt: skip

# Semantic types whose unit type is not "<name>Unit".
_OTHERS = {"Distance": "LengthUnit", "ElectricCharge": "ChargeUnit", "Humidity": "DensityUnit", "Latitude": "AngleUnit",
           "Longitude": "AngleUnit", "Luminosity": "PowerUnit", "RelativeHumidity": "Unitless", "Thrust": "ForceUnit",
           "TimeSpan": "TimeUnit"}  # fmt: skip
_MORE_OTHERS = {"Concentration": "Unitless", "EnergyRate": "PowerUnit", "RelativeDensity": "Unitless"}


def _semantic(units: Mapping[str, object], others: Mapping[str, str]) -> dict[str, str]:
    return {unit.removesuffix("Unit"): unit for unit in units if unit not in ("Unitless", "ChargeUnit")} | dict(others)


UNITS_2: Mapping[str, frozenset[str]] = {kind: frozenset(names.split()) for kind, names in UNITS.items()}
UNITS_3: Mapping[str, frozenset[str]] = {
    kind: frozenset(f"{UNITS.get(kind, '')} {MORE_UNITS.get(kind, '')}".split()) for kind in sorted({*UNITS, *MORE_UNITS})
}
SEMANTIC_2: Mapping[str, str] = _semantic(UNITS_2, _OTHERS)
SEMANTIC_3: Mapping[str, str] = _semantic(UNITS_3, _OTHERS | _MORE_OTHERS)

UNIT_NAMES: Mapping[str, str] = {
    "centimetrePerSecondSquared": "cm/s**2", "gForce": "standard_gravity", "metrePerSecondSquared": "m/s**2",
    "degreeOfArc": "degree", "minuteOfArc": "arcminute", "radian": "radian", "secondOfArc": "arcsecond", "turn": "turn",
    "degreePerSecond": "degree/s", "radianPerSecond": "radian/s", "revolutionPerMinute": "rpm", "hectare": "hectare",
    "squareCentimetre": "cm**2", "squareKilometre": "km**2", "squareMetre": "m**2", "ampere": "A", "milliampere": "mA",
    "gramPerCubicMetre": "g/m**3", "kilogramPerCubicMetre": "kg/m**3", "microgramPerCubicMetre": "ug/m**3",
    "milligramPerCubicMetre": "mg/m**3", "joule": "J", "kilojoule": "kJ", "megajoule": "MJ", "kilowattHour": "kWh",
    "megawattHour": "MWh", "wattHour": "Wh", "newton": "N", "hertz": "Hz", "kilohertz": "kHz", "megahertz": "MHz",
    "lux": "lux", "centimetre": "cm", "kilometre": "km", "metre": "m", "millimetre": "mm",
    "micrometre": "um", "nanometre": "nm", "mile": "mile", "foot": "foot",
    "candela": "candela", "lumen": "lumen", "gram": "g", "kilogram": "kg", "tonne": "tonne", "gigawatt": "GW",
    "kilowatt": "kW", "megawatt": "MW", "milliwatt": "mW", "watt": "W", "bar": "bar", "kilopascal": "kPa",
    "hectopascal": "hPa", "millibar": "mbar", "pascal": "Pa", "ohm": "ohm", "degreeCelsius": "degC",
    "degreeFahrenheit": "degF", "kelvin": "K", "day": "day", "hour": "hour", "millisecond": "ms", "minute": "minute",
    "second": "s", "year": "year", "percent": "percent", "unity": "dimensionless", "partsPerMillion": "ppm",
    "kilometrePerHour": "km/h", "knot": "knot", "metrePerSecond": "m/s", "milePerHour": "mile/h", "kilovolt": "kV",
    "millivolt": "mV", "volt": "V", "litrePerHour": "liter/h", "litrePerMinute": "liter/minute", "litrePerSecond": "liter/s",
    "cubicMetrePerHour": "m**3/h", "cubicMetrePerSecond": "m**3/s", "cubicMetre": "m**3", "litre": "liter",
    "wattPerSquareMetre": "W/m**2", "microsievert": "microsievert", "becquerel": "Bq",
}  # fmt: skip
