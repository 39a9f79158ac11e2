package parquet

import (
	"encoding/binary"
	"encoding/hex"
	"math"
	"math/big"
	"strconv"
	"time"
)

// A form is how the values of a column are written as text.
type form uint8

const (
	formText form = iota
	formInteger
	formUnsigned
	formDate
	formTimestamp
	formDecimal
	formUUID
	formFloat   // of 32 bits
	formDouble  // of 64
	formBoolean // true or false
	formInt96   // nanoseconds of a day, and the day
)

// convertedForms are the older annotations (ConvertedType), as the newer ones.
var convertedForms = map[int32]element{
	0: {logical: logicalString}, 4: {logical: logicalEnum}, 5: {logical: logicalDecimal}, 6: {logical: logicalDate},
	9: {logical: logicalTimestamp, unit: 1}, 10: {logical: logicalTimestamp, unit: 2},
	11: {logical: logicalInteger, unsigned: true}, 12: {logical: logicalInteger, unsigned: true},
	13: {logical: logicalInteger, unsigned: true}, 14: {logical: logicalInteger, unsigned: true},
	15: {logical: logicalInteger}, 16: {logical: logicalInteger}, 17: {logical: logicalInteger}, 18: {logical: logicalInteger},
	19: {logical: logicalJSON},
}

var errType = &FeatureError{0, "is of a type that is not read; write it as text, as whole numbers, as a decimal or as days"}

// maxDecimal is how many bytes a decimal may have: 38 digits.
const maxDecimal = 16

// newColumn decides how the values of a column are written.
func newColumn(e *element) (*column, error) {
	if e.logical == 0 && e.converted >= 0 {
		as, ok := convertedForms[e.converted]
		if !ok {
			return nil, errType
		}
		e.logical, e.unit, e.unsigned = as.logical, as.unit, as.unsigned
	}
	c := &column{name: e.name, kind: e.kind, optional: e.repetition == optional, length: int(e.length), scale: int(e.scale), unit: e.unit}
	var ok bool
	if c.form, ok = formOf(e); !ok {
		return nil, errType
	}
	if e.kind == kindFixed && (c.length < 1 || c.length > 1<<16) || c.scale < 0 || c.scale > 38 {
		return nil, ErrForm
	}
	return c, nil
}

func formOf(e *element) (form, bool) {
	whole := e.kind == kindInt32 || e.kind == kindInt64
	bytes := e.kind == kindBytes || e.kind == kindFixed
	switch e.logical {
	case 0:
		return plainForm(e.kind)
	case logicalString, logicalEnum, logicalJSON:
		return formText, bytes
	case logicalDecimal:
		return formDecimal, whole || e.kind == kindBytes || e.kind == kindFixed && e.length <= maxDecimal
	case logicalDate:
		return formDate, e.kind == kindInt32
	case logicalTimestamp:
		return formTimestamp, e.kind == kindInt64 && e.unit >= 1 && e.unit <= 3
	case logicalInteger:
		if e.unsigned {
			return formUnsigned, whole
		}
		return formInteger, whole
	case logicalNull:
		return plainForm(e.kind)
	case logicalUUID:
		return formUUID, e.kind == kindFixed && e.length == 16
	}
	return 0, false
}

// plainForm is how values are written that have no annotation.
func plainForm(kind int32) (form, bool) {
	switch kind {
	case kindBoolean:
		return formBoolean, true
	case kindInt32, kindInt64:
		return formInteger, true
	case kindInt96:
		return formInt96, true
	case kindFloat:
		return formFloat, true
	case kindDouble:
		return formDouble, true
	case kindBytes, kindFixed:
		return formText, true
	}
	return 0, false
}

// appendInt writes a value of INT32 or INT64.
func (c *column) appendInt(to []byte, v int64) []byte {
	switch c.form {
	case formUnsigned:
		if c.kind == kindInt32 {
			v = int64(uint32(v)) //nolint:gosec // the bits
		}
		return strconv.AppendUint(to, uint64(v), 10) //nolint:gosec // the bits
	case formDate:
		return appendDay(to, v)
	case formTimestamp:
		return appendTime(to, v, [...]int64{1: 1e3, 2: 1e6, 3: 1e9}[c.unit])
	case formDecimal:
		return c.appendDecimal(to, strconv.AppendInt(make([]byte, 0, 20), v, 10))
	default:
		return strconv.AppendInt(to, v, 10)
	}
}

const daySeconds = 24 * 60 * 60

// appendDay writes a day counted from 1970.
func appendDay(to []byte, day int64) []byte {
	return time.Unix(day*daySeconds, 0).UTC().AppendFormat(to, time.DateOnly)
}

// appendTime writes a time that is counted in parts of a second: its day where it is
// midnight, because that is how programs without days write them. No contract takes
// another time for a day.
func appendTime(to []byte, v, parts int64) []byte {
	seconds := v / parts
	rest := v % parts
	if rest < 0 {
		seconds, rest = seconds-1, rest+parts
	}
	if rest == 0 && seconds%daySeconds == 0 {
		return appendDay(to, seconds/daySeconds)
	}
	return time.Unix(seconds, 0).UTC().AppendFormat(to, "2006-01-02T15:04:05")
}

// appendBytes writes a value of bytes.
func (c *column) appendBytes(to, value []byte) ([]byte, error) {
	switch c.form {
	case formText:
		return append(to, value...), nil
	case formDecimal:
		if len(value) == 0 || len(value) > maxDecimal {
			return to, ErrForm
		}
		unscaled := new(big.Int).SetBytes(value)
		if value[0] >= 0x80 {
			unscaled.Sub(unscaled, new(big.Int).Lsh(big.NewInt(1), uint(8*len(value))))
		}
		return c.appendDecimal(to, unscaled.Append(nil, 10)), nil
	case formUUID:
		for i, part := range [][]byte{value[:4], value[4:6], value[6:8], value[8:10], value[10:]} {
			if i > 0 {
				to = append(to, '-')
			}
			to = hex.AppendEncode(to, part)
		}
		return to, nil
	case formInt96:
		nanos, day := binary.LittleEndian.Uint64(value), int64(binary.LittleEndian.Uint32(value[8:]))
		if nanos >= daySeconds*1e9 {
			return to, ErrForm
		}
		const julian1970 = 2440588
		if day -= julian1970; nanos == 0 {
			return appendDay(to, day), nil
		}
		return time.Unix(day*daySeconds, int64(nanos)).UTC().AppendFormat(to, "2006-01-02T15:04:05"), nil
	default:
		return to, ErrForm
	}
}

// appendDecimal writes a number whose last digits are parts, without zeros behind the
// last part that is not.
func (c *column) appendDecimal(to, digits []byte) []byte {
	if digits[0] == '-' {
		to, digits = append(to, '-'), digits[1:]
	}
	if c.scale == 0 {
		return append(to, digits...)
	}
	for len(digits) <= c.scale {
		digits = append([]byte{'0'}, digits...)
	}
	whole, parts := digits[:len(digits)-c.scale], digits[len(digits)-c.scale:]
	for len(parts) > 0 && parts[len(parts)-1] == '0' {
		parts = parts[:len(parts)-1]
	}
	to = append(to, whole...)
	if len(parts) > 0 {
		to = append(append(to, '.'), parts...)
	}
	return to
}

// appendFloat writes a floating-point number: a whole one as its digits.
func appendFloat(to []byte, v float64, bits int) []byte {
	if v == math.Trunc(v) && math.Abs(v) < 1e15 && (v != 0 || !math.Signbit(v)) {
		return strconv.AppendInt(to, int64(v), 10)
	}
	return strconv.AppendFloat(to, v, 'f', -1, bits)
}
