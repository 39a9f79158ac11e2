package rival

import (
	"context"
	"crypto/aes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"github.com/pana-exchange/pana/gateway"
)

// blockRows is how many rows the plain loader sends at once.
const blockRows = 65536

// Loader is the job as a Go programmer writes it in an afternoon: encoding/csv,
// maps, time.Parse, hmac.New for each value, and clickhouse-go's Append row by row.
// It returns how many rows it stored and how many it left out.
func (j *Job) Loader(ctx context.Context, conn driver.Conn, table string, file io.Reader) (stored, refused int, err error) {
	records := csv.NewReader(file)
	header, err := records.Read()
	if err != nil {
		return 0, 0, errors.New("the file has no header")
	}
	l := newLoader(j, header)
	insert := "INSERT INTO " + table
	batch, err := conn.PrepareBatch(ctx, insert)
	if err != nil {
		return 0, 0, fmt.Errorf("beginning an insert: %w", err)
	}
	defer func() { _ = batch.Close() }()
	for {
		record, err := records.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return stored, refused, errors.New("a line of the file is not CSV")
		}
		row, good := l.row(record)
		if !good {
			refused++
			continue
		}
		err = batch.Append(row...)
		if err != nil {
			return stored, refused, fmt.Errorf("appending a row: %w", err)
		}
		stored++
		if stored%blockRows == 0 {
			err = batch.Flush()
			if err != nil {
				return stored, refused, fmt.Errorf("sending rows: %w", err)
			}
		}
	}
	return stored, refused, batch.Send()
}

// A loader is what the plain loader prepares.
type loader struct {
	*Job
	place map[gateway.FieldName]int
	codes []map[string]int // by field: the number that is stored
	at    map[string]int
	bands []int
}

func newLoader(j *Job, header []string) *loader {
	l := &loader{Job: j, place: map[gateway.FieldName]int{}, codes: make([]map[string]int, len(j.Contract.Fields)), at: j.stored()}
	for i, name := range header {
		l.place[gateway.FieldName(name)] = i
	}
	for i, f := range j.Contract.Fields {
		if f.Type == gateway.TypeBirthDate {
			l.bands = bands(f.List)
		}
		if f.Type != gateway.TypeCode {
			continue
		}
		l.codes[i] = map[string]int{}
		for n, number := range j.coarse(i) {
			l.codes[i][f.List.Codes[n].Code] = number
		}
	}
	return l
}

// A person is what follows from the child's number.
type person struct {
	known bool
	birth time.Time
	male  bool
	pid   [16]byte
	shift int
}

// row checks a record and makes its columns.
func (l *loader) row(record []string) ([]any, bool) {
	value := func(name gateway.FieldName) string {
		i, there := l.place[name]
		if !there {
			return ""
		}
		return record[i]
	}
	days := map[gateway.FieldName]time.Time{}
	for i, f := range l.Contract.Fields {
		v := value(f.Name)
		switch {
		case v == "" && (f.Required || f.When != nil && holds(f.When, value)):
			return nil, false
		case v == "":
			continue
		case f.Type == gateway.TypeCode && !l.known(i, v),
			(f.Type == gateway.TypeIdentifier || f.Type == gateway.TypeText) && len(v) > f.MaxBytes:
			return nil, false
		case f.Type == gateway.TypeDate || f.Type == gateway.TypeBirthDate:
			day, err := time.Parse(time.DateOnly, v)
			if err != nil || gateway.DayOf(day) > l.Today {
				return nil, false
			}
			days[f.Name] = day
		}
	}
	for _, o := range l.Contract.Order {
		a, b := days[o.Earlier], days[o.Later]
		if !a.IsZero() && !b.IsZero() && b.Before(a) {
			return nil, false
		}
	}
	event := days[l.Contract.EventDate().Name]
	if day := gateway.DayOf(event); day < l.From || day > l.To {
		return nil, false
	}
	if value("legal_basis") == "CONSENT" && value("consent_reporting") == "N" ||
		value("protective_order") == "NONE" && value("protective_order_date") != "" {
		return nil, false
	}
	p := person{birth: days["child_birth_date"]}
	if id := value("child_iin"); id != "" {
		var good bool
		p, good = l.person(id)
		sex := value("child_sex")
		if !good || !p.birth.Equal(days["child_birth_date"]) || sex == "M" && !p.male || sex == "F" && p.male {
			return nil, false
		}
	}
	age := years(event) - years(p.birth)
	age /= 10000
	if event.Before(p.birth) || age > 17 {
		return nil, false
	}
	return l.columns(value, days, event, p, age), true
}

func years(day time.Time) int { return day.Year()*10000 + int(day.Month())*100 + day.Day() }

func holds(c *gateway.Condition, value func(gateway.FieldName) string) bool {
	v := value(c.Field)
	switch {
	case c.Empty:
		return v == ""
	case c.Present:
		return v != ""
	}
	return slices.Contains(c.In, v)
}

func (l *loader) known(i int, v string) bool {
	for code := range strings.SplitSeq(v, "|") {
		if l.number(i, code) == 0 {
			return false
		}
	}
	return true
}

func (l *loader) number(i int, code string) int {
	f := l.field(i)
	if len(f.Forms) > 0 && len(code) == len(f.Forms[0]) {
		code = code[:f.List.Length()]
	}
	return l.codes[i][code]
}

func mac(key, message []byte) []byte {
	h := hmac.New(sha256.New, key)
	h.Write(message)
	return h.Sum(nil)
}

func hashed(key, prefix []byte, text string) (id [16]byte) {
	message := binary.BigEndian.AppendUint32(prefix, uint32(len(text))) //nolint:gosec // a cell
	copy(id[:], mac(key, append(message, text...)))
	return id
}

// person checks a number and derives what follows from it.
func (l *loader) person(id string) (person, bool) {
	if len(id) != 12 || strings.Trim(id, "0123456789") != "" || id[4] >= '4' && id[4] <= '6' {
		return person{}, false
	}
	weighted, plain := 0, 0
	for i := range 11 {
		d := int(id[i] - '0')
		weighted += d * (i + 1)
		plain += d
	}
	check := weighted % 11
	if check == 10 {
		check = (weighted + 2*plain) % 11
	}
	century := int(id[6] - '0')
	if check != int(id[11]-'0') || century < 1 || century > 6 {
		return person{}, false
	}
	birth, err := time.Parse("20060102", fmt.Sprintf("%d%s", 18+(century-1)/2, id[:6]))
	if err != nil {
		return person{}, false
	}
	x := hashed(key("inner"), childPrefix(), id)
	p := person{known: true, birth: birth, male: century%2 == 1}
	p.shift = int(binary.BigEndian.Uint64(mac(key("shift"), x[:])) % 365)
	block, err := aes.NewCipher(key("outer"))
	if err != nil {
		return person{}, false
	}
	block.Encrypt(p.pid[:], x[:])
	return p, true
}

// columns makes the row as the table has it.
func (l *loader) columns(value func(gateway.FieldName) string, days map[gateway.FieldName]time.Time, event time.Time, p person, age int) []any {
	row := []any{uint64(1)}
	image := []byte{}
	check := 0
	for _, column := range l.Contract.Layout() {
		var v any
		switch column.Name {
		case gateway.ColumnPID:
			v = string(p.pid[:])
		case gateway.ColumnRandom:
			v = rand.Uint64() //nolint:gosec // an order of rows, and they are dropped
		case gateway.ColumnMAC:
			check = len(row)
			row = append(row, nil)
			continue
		case gateway.ColumnQuarter:
			v = uint16(event.Year()*4 + (int(event.Month())-1)/3) //nolint:gosec // a quarter
		default:
			v = l.column(column, value, days, p, age)
		}
		row = append(row, v)
		if s, text := v.(string); text {
			image = append(image, s...)
			continue
		}
		image, _ = binary.Append(image, binary.LittleEndian, v)
	}
	row[check] = binary.BigEndian.Uint64(mac(key("row"), image))
	return row
}

func (l *loader) column(
	column gateway.Column, value func(gateway.FieldName) string, days map[gateway.FieldName]time.Time, p person, age int,
) any {
	number := 0
	day := int32(gateway.NoDay)
	var id [16]byte
	set := uint64(0)
	if i, stored := l.at[column.Name]; stored {
		f := l.field(i)
		v := value(f.Name)
		switch {
		case f.Type == gateway.TypeBirthDate:
			number = l.bands[age]
		case column.Name == gateway.ColumnSex && p.known:
			number = l.codes[i]["F"]
			if p.male {
				number = l.codes[i]["M"]
			}
		case v == "":
		case f.Type == gateway.TypeDate && p.known:
			day = int32(gateway.DayOf(days[f.Name])) + int32(p.shift) //nolint:gosec // below 365
		case f.Type == gateway.TypeIdentifier:
			k := key("domain " + l.Plan.Fields[i].Domain)
			if column.Name == "record_key" {
				k = l.recordKey()
			}
			id = hashed(k, domainPrefix(l.Plan.Fields[i].Domain), strings.TrimSpace(v))
		case f.Type == gateway.TypeCode && f.Multi:
			for code := range strings.SplitSeq(v, "|") {
				set |= 1 << (l.number(i, code) - 1)
			}
		case f.Type == gateway.TypeCode:
			number = l.number(i, v)
		}
	}
	switch column.Type {
	case gateway.Uint8:
		return uint8(number)
	case gateway.Uint16:
		return uint16(number)
	case gateway.Int32:
		return day
	case gateway.ID:
		return string(id[:])
	case gateway.Uint64:
	}
	return set
}
