package pseudonym

import (
	"bytes"
	"crypto/aes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"testing"

	"golang.org/x/text/unicode/norm"
	"pgregory.net/rapid"
)

// An oracle spells the pseudonyms of trust.md 5.2 out with nothing but the
// standard library.
type oracle struct{ k *Keyring }

func (o oracle) hash(key []byte, parts ...string) [16]byte {
	h := hmac.New(sha256.New, key)
	for _, part := range parts {
		var length [4]byte
		binary.BigEndian.PutUint32(length[:], uint32(len(part)))
		h.Write(length[:])
		h.Write([]byte(part))
	}
	return [16]byte(h.Sum(nil))
}

func (o oracle) pid(id []byte) ([16]byte, uint16) {
	x := o.hash(o.k.key("pid_inner"), "pid", "child", "iin/1", string(id))
	return encrypt(o.k.key("pid_outer"), x), dayOf(encrypt(o.k.key("shift"), x))
}

func (o oracle) text(key []byte, domain string, id []byte) [16]byte {
	return o.hash(key, "id", domain, "text/1", string(norm.NFC.Bytes(bytes.TrimSpace(id))))
}

func encrypt(key []byte, x [16]byte) (y [16]byte) {
	block, err := aes.NewCipher(key)
	if err != nil {
		panic(err)
	}
	block.Encrypt(y[:], x[:])
	return y
}

func dayOf(y [16]byte) uint16 {
	n := 0
	for _, b := range y[:8] {
		n = (n<<8 | int(b)) % 365
	}
	return uint16(n)
}

// drawIDs returns a buffer with up to 70 identifiers of up to 300 bytes, at any
// alignment; some are empty, and some overlap.
func drawIDs(t *rapid.T) ([]byte, []Span) {
	piece := rapid.SampledFrom([]string{
		"0", "080229690004", "2025-000123", "Қ", "и\u0306", "e\u0301", " ", "\t", "\xff", "\x00", "abcdefghijklmnopqrstuvwx",
	})
	buf := bytes.Repeat([]byte{'-'}, rapid.IntRange(0, 9).Draw(t, "offset"))
	ids := make([]Span, rapid.IntRange(0, 70).Draw(t, "count"))
	for i := range ids {
		ids[i].Start = int32(len(buf))
		if i > 0 && rapid.IntRange(0, 9).Draw(t, "again") == 0 {
			ids[i] = ids[i-1]
			continue
		}
		for range rapid.IntRange(0, 5).Draw(t, "pieces") {
			buf = append(buf, piece.Draw(t, "piece")...)
		}
		if rapid.IntRange(0, 4).Draw(t, "long") == 0 {
			buf = append(buf, bytes.Repeat([]byte{0}, rapid.IntRange(0, 180).Draw(t, "zeros"))...)
		}
		ids[i].End = int32(len(buf))
	}
	return buf, ids
}

// Many at a time are what they are one by one, and what the standard library
// makes of them. An empty one is none.
func TestBulkIsOneByOne(t *testing.T) {
	k := vectorKeyring(t)
	h, o := hasher(t, k, "agency-a"), oracle{k}
	record := k.derive(slotRecord, "record", "agency-a")
	other := k.derive(slotRoot, "identifier", "case")
	rapid.Check(t, func(t *rapid.T) {
		buf, ids := drawIDs(t)
		pids, shifts := make([][16]byte, len(ids)), make([]uint16, len(ids))
		records, referrals, cases := make([][16]byte, len(ids)), make([][16]byte, len(ids)), make([][16]byte, len(ids))
		for i := range ids {
			pids[i], shifts[i], records[i] = [16]byte{1}, 1000, [16]byte{1}
		}
		h.PIDs(pids, shifts, buf, ids)
		h.RecordKeys(records, buf, ids)
		h.Keys(referrals, "referral", buf, ids)
		h.Keys(cases, "case", buf, ids)
		for i, id := range ids {
			text := buf[id.Start:id.End]
			var one [16]byte
			if len(text) == 0 {
				if pids[i] != one || shifts[i] != 0 || records[i] != one || referrals[i] != one {
					t.Fatal("no identifier has a pseudonym")
				}
				continue
			}
			wantPID, wantShift := o.pid(text)
			if shift := h.PID(&one, text); one != wantPID || shift != int(wantShift) || pids[i] != wantPID || shifts[i] != wantShift {
				t.Fatalf("%q: the pid is %x, %d; one by one %x, %d; want %x, %d", text, pids[i], shifts[i], one, shift, wantPID, wantShift)
			}
			check := func(what string, many, want [16]byte) {
				if many != want || one != want {
					t.Fatalf("%q: the %s is %x, one by one %x, want %x", text, what, many, one, want)
				}
			}
			h.RecordKey(&one, text)
			check("record", records[i], o.text(record, "record", text))
			h.Key(&one, "referral", text)
			check("referral", referrals[i], o.text(k.key("referral"), "referral", text))
			h.Key(&one, "case", text)
			check("case", cases[i], o.text(other, "case", text))
		}
	})
}

// What any two identifiers anywhere in a buffer hash to does not hang on what is
// hashed beside them.
func FuzzBulk(f *testing.F) {
	k := vectorKeyring(f)
	h, o := hasher(f, k, "agency-a"), oracle{k}
	record := k.derive(slotRecord, "record", "agency-a")
	f.Add([]byte(iin+"2025-000123"), uint16(0), uint16(12), uint16(12), uint16(23), uint8(17))
	f.Add([]byte("и\u0306 "), uint16(0), uint16(4), uint16(1), uint16(1), uint8(1))
	f.Add(bytes.Repeat([]byte("0123456789"), 30), uint16(7), uint16(290), uint16(3), uint16(28), uint8(33))
	f.Fuzz(func(t *testing.T, buf []byte, a, b, c, d uint16, count uint8) {
		span := func(a, b uint16) Span {
			n := len(buf) + 1
			return Span{int32(min(int(a)%n, int(b)%n)), int32(max(int(a)%n, int(b)%n))}
		}
		ids := make([]Span, int(count)%71)
		for i := range ids {
			ids[i] = span(a, b)
			if i%3 == 1 {
				ids[i] = span(c, d)
			}
		}
		pids, shifts, records := make([][16]byte, len(ids)), make([]uint16, len(ids)), make([][16]byte, len(ids))
		h.PIDs(pids, shifts, buf, ids)
		h.RecordKeys(records, buf, ids)
		for i, id := range ids {
			var pid, key [16]byte
			shift := uint16(0)
			if text := buf[id.Start:id.End]; len(text) > 0 {
				pid, shift = o.pid(text)
				key = o.text(record, "record", text)
			}
			if pids[i] != pid || shifts[i] != shift || records[i] != key {
				t.Fatalf("identifier %d of %d: %x %d %x, want %x %d %x", i, len(ids), pids[i], shifts[i], records[i], pid, shift, key)
			}
		}
	})
}

// The inner message of every length, by both states, is HMAC.
func TestKeyedOfEveryLength(t *testing.T) {
	key := vectorKeyring(t).key(slotInner)
	mac, message := keyed(key), make([]byte, 300)
	for i := range message {
		message[i] = byte(i * 7)
	}
	for n := range len(message) {
		h := hmac.New(sha256.New, key)
		h.Write(message[:n])
		if got := [32]byte(mac(message[:n])); got != [32]byte(h.Sum(nil)) {
			t.Errorf("%d bytes: got %x", n, got)
		}
	}
}

func TestRowMACs(t *testing.T) {
	h := hasher(t, vectorKeyring(t), "agency-a")
	rows := make([]byte, 70*61)
	for i := range rows {
		rows[i] = byte(i * i >> 3)
	}
	for count := range 70 {
		for _, width := range []int{0, 1, 7, 8, 9, 60, 61} {
			sums := make([]uint64, count)
			h.RowMACs(sums, rows[:count*width])
			for i, sum := range sums {
				if sum != h.RowMAC(rows[i*width:(i+1)*width]) {
					t.Fatalf("row %d of %d, %d bytes: another sum", i, count, width)
				}
			}
		}
	}
	h.RowMACs(nil, nil)
	defer func() {
		if recover() == nil {
			t.Error("rows of no common length")
		}
	}()
	h.RowMACs(make([]uint64, 2), rows[:3])
}

// Shifts are spread evenly: of 36,500 children a day has 100 on average. The bound
// on chi-squared of 364 degrees of freedom is at 364 + 6 standard deviations of 27;
// the key is fixed, so it cannot fail by chance.
func TestShiftsAreEven(t *testing.T) {
	k := vectorKeyring(t)
	layers := manyLayers(k.key(slotOuter), k.key(slotShift))
	inner, shifts := make([][16]byte, 100*shiftDays), make([]uint16, 100*shiftDays)
	for i := range inner {
		binary.BigEndian.PutUint64(inner[i][:], uint64(i))
	}
	layers(inner, shifts)
	var days [shiftDays]int
	for _, day := range shifts {
		days[day]++
	}
	chi := 0.0
	for _, n := range days {
		chi += float64((n-100)*(n-100)) / 100
	}
	if chi > 364+6*27 || chi < 364-6*27 {
		t.Errorf("chi-squared is %.0f", chi)
	}
}

func benchmarkIDs(ids int, text string) ([]byte, []Span) {
	buf, spans := make([]byte, 0, ids*len(text)), make([]Span, ids)
	for i := range spans {
		spans[i].Start = int32(len(buf))
		buf = append(buf, text...)
		buf[len(buf)-2] += byte(i % 7)
		spans[i].End = int32(len(buf))
	}
	return buf, spans
}

// The bulk benchmarks print the time of one identifier, of 1024 in a buffer.
func benchmarkBulk(b *testing.B, text string, run func(h *Hasher, dst [][16]byte, buf []byte, ids []Span)) {
	b.Helper()
	h := hasher(b, vectorKeyring(b), "a")
	buf, ids := benchmarkIDs(1024, text)
	dst := make([][16]byte, len(ids))
	b.ReportAllocs()
	b.ResetTimer()
	for n := 0; n < b.N; n += len(ids) {
		run(h, dst, buf, ids)
	}
}

func BenchmarkPIDs(b *testing.B) {
	shifts := make([]uint16, 1024)
	benchmarkBulk(b, iin, func(h *Hasher, dst [][16]byte, buf []byte, ids []Span) { h.PIDs(dst, shifts, buf, ids) })
}

func BenchmarkRecordKeys(b *testing.B) {
	benchmarkBulk(b, "2025-000123/A", func(h *Hasher, dst [][16]byte, buf []byte, ids []Span) { h.RecordKeys(dst, buf, ids) })
}

func BenchmarkRecordKeysNotASCII(b *testing.B) {
	benchmarkBulk(b, "2025-000123/К", func(h *Hasher, dst [][16]byte, buf []byte, ids []Span) { h.RecordKeys(dst, buf, ids) })
}

func BenchmarkPID(b *testing.B) {
	h := hasher(b, vectorKeyring(b), "a")
	dst, id := new([16]byte), []byte(iin)
	b.ReportAllocs()
	for b.Loop() {
		h.PID(dst, id)
	}
}

func BenchmarkKeyedBySHA256(b *testing.B) {
	mac, _ := keyedBySHA256(vectorKeyring(b).key(slotInner))
	benchmarkKeyed(b, mac)
}

func BenchmarkKeyedByHMAC(b *testing.B) {
	benchmarkKeyed(b, keyedByHMAC(vectorKeyring(b).key(slotInner)))
}

func BenchmarkKeyedByNewHMAC(b *testing.B) {
	key := vectorKeyring(b).key(slotInner)
	benchmarkKeyed(b, func(message []byte) []byte {
		h := hmac.New(sha256.New, key)
		h.Write(message)
		return h.Sum(nil)
	})
}

func benchmarkKeyed(b *testing.B, mac func([]byte) []byte) {
	b.Helper()
	message := enc(nil, "pid", ChildDomain, iinVersion, iin)
	b.ReportAllocs()
	for b.Loop() {
		mac(message)
	}
}

func BenchmarkRowMAC(b *testing.B) {
	h, rows, sums := hasher(b, vectorKeyring(b), "a"), make([]byte, 64*1024), make([]uint64, 1024)
	b.ResetTimer()
	for n := 0; n < b.N; n += len(sums) {
		h.RowMACs(sums, rows)
	}
}
