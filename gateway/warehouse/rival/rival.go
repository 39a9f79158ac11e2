// Package rival does the gateway's job on a file without the gateway, for
// "pana bench intake" only: by ClickHouse alone, in one INSERT … SELECT ([Statement]),
// and by a plain Go loader ([Loader]). Both check what the police contract checks,
// make the same columns and store them in a table of the gateway's own layout.
//
// They work under keys of their own, so pseudonyms differ from the gateway's.
// [Fingerprint] is the SQL of a check sum that does not depend on keys: it is equal
// where two tables hold the same rows of the same children.
//
// Neither has a lease, a ledger, a report of faults, exactly-once loading or a
// verified load: they are what the gateway is measured against, not a way to load.
package rival

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"strings"

	"github.com/pana-exchange/pana/gateway"
)

// A Job is one contract under one plan.
type Job struct {
	Contract *gateway.Contract
	Plan     gateway.Plan
	Agency   gateway.AgencyID
	From, To gateway.Day // the period of the batch
	Today    gateway.Day
}

// The keys are public: what is loaded here is synthetic and dropped.
func key(name string) []byte {
	sum := sha256.Sum256([]byte("pana bench intake " + name))
	return sum[:]
}

// prefix is the domain separation of a pseudonym: the parts, each after its length.
func prefix(parts ...string) []byte {
	var b []byte
	for _, p := range parts {
		b = binary.BigEndian.AppendUint32(b, uint32(len(p))) //nolint:gosec // constants
		b = append(b, p...)
	}
	return b
}

// The domains of the three kinds of identifiers.
func childPrefix() []byte                { return prefix("pid", "child", "iin/1") }
func domainPrefix(domain string) []byte  { return prefix("id", domain, "text/1") }
func (j *Job) recordKey() []byte         { return key("record " + string(j.Agency)) }
func (j *Job) field(i int) gateway.Field { return j.Contract.Fields[i] }

// stored returns the fields that the plan stores, in the order of the layout.
func (j *Job) stored() map[string]int {
	at := map[string]int{}
	for i, f := range j.Contract.Fields {
		if f.Column == "" || j.Plan.Fields[i].Do == gateway.Drop {
			continue
		}
		if _, there := at[f.Column]; !there {
			at[f.Column] = i
		}
	}
	return at
}

// coarse returns the number that is stored for each number of a field's list.
func (j *Job) coarse(i int) []int {
	list, plan := j.field(i).List, j.Plan.Fields[i]
	numbers := make([]int, len(list.Codes))
	for n, c := range list.Codes {
		numbers[n] = n + 1
		if plan.Do == gateway.Generalise && plan.Keep > 0 && plan.Keep < len(c.Code) {
			short, _ := list.Number([]byte(c.Code[:plan.Keep]))
			numbers[n] = int(short)
		}
	}
	return numbers
}

// bands returns the number of the age band of every age under 18.
func bands(list *gateway.CodeList) []int {
	numbers := make([]int, 18)
	for n, c := range list.Codes {
		var from, to int
		if _, err := fmt.Sscanf(strings.ReplaceAll(c.Code, "T", " "), "Y%d %d", &from, &to); err != nil {
			continue
		}
		for age := from; age <= to && age < len(numbers); age++ {
			numbers[age] = n + 1
		}
	}
	return numbers
}

// Fingerprint is the SQL of a check sum over a table of the contract that is the
// same under any keys: the number of rows and of children, and the sum over the
// children of a hash of their sorted rows. Dates count from the child's first event,
// pseudonyms other than the child's by whether there is one.
func (j *Job) Fingerprint(table string) string {
	var words []string
	days := ""
	for _, column := range j.Contract.Layout() {
		name := "`" + column.Name + "`"
		switch {
		case column.Name == gateway.ColumnPID, column.Name == gateway.ColumnRandom, column.Name == gateway.ColumnMAC:
		case column.Type == gateway.ID:
			words = append(words, fmt.Sprintf("%s = toFixedString('', 16)", name))
		case column.Name == gateway.ColumnDay:
			days = name
		case column.Type == gateway.Int32 && j.dated(column.Name):
			words = append(words, fmt.Sprintf("if(%[1]s = %[2]d OR `%[3]s` = %[2]d, -1, %[1]s - `%[3]s`)", name, int32(gateway.NoDay), gateway.ColumnDay))
		default:
			words = append(words, name)
		}
	}
	return fmt.Sprintf(`SELECT sum(n), count(), sum(cityHash64(n, hashes)) FROM (
		SELECT pid, count() AS n, arraySort(groupArray(cityHash64(h, d - first))) AS hashes FROM (
			SELECT pid, cityHash64(%s) AS h, toInt64(%s) AS d, min(d) OVER (PARTITION BY pid) AS first FROM %s)
		GROUP BY pid)`, strings.Join(words, ", "), days, table)
}

func (j *Job) dated(column string) bool {
	for _, f := range j.Contract.Fields {
		if f.Column == column && f.Type == gateway.TypeDate {
			return true
		}
	}
	return false
}
