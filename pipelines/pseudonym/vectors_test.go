package pseudonym

import (
	"encoding/binary"
	"encoding/csv"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/pana-exchange/pana/gateway"
)

func vectorKeyring(tb testing.TB) *Keyring {
	tb.Helper()
	opened, err := os.ReadFile("testdata/keyring.json")
	if err != nil {
		tb.Fatal(err)
	}
	k, err := Parse(opened)
	if err != nil {
		tb.Fatal(err)
	}
	return k
}

func hasher(tb testing.TB, k *Keyring, agency gateway.AgencyID) *Hasher {
	tb.Helper()
	h, err := k.NewHasher(ChildDomain, agency)
	if err != nil {
		tb.Fatal(err)
	}
	return h
}

func unhex(tb testing.TB, text string) []byte {
	tb.Helper()
	b, err := hex.DecodeString(text)
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

// RFC 4231, test cases 1 to 4, 6 and 7, through the state that all of the
// package's hashing goes through.
func TestKeyedIsHMAC(t *testing.T) {
	ascii := func(s string) string { return hex.EncodeToString([]byte(s)) }
	vectors := []struct{ key, data, mac string }{
		{strings.Repeat("0b", 20), ascii("Hi There"), "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"},
		{ascii("Jefe"), ascii("what do ya want for nothing?"), "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"},
		{strings.Repeat("aa", 20), strings.Repeat("dd", 50), "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe"},
		{"0102030405060708090a0b0c0d0e0f10111213141516171819", strings.Repeat("cd", 50), "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b"},
		{strings.Repeat("aa", 131), ascii("Test Using Larger Than Block-Size Key - Hash Key First"), "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"},
		{strings.Repeat("aa", 131), ascii("This is a test using a larger than block-size key and a larger than block-size data. The key needs to be hashed before being used by the HMAC algorithm."), "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2"},
	}
	for i, v := range vectors {
		bySHA256, ok := keyedBySHA256(unhex(t, v.key))
		if !ok {
			t.Fatal("SHA-256 does not save its state as expected: the package still works, but is slow")
		}
		for name, mac := range map[string]func([]byte) []byte{
			"keyed": keyed(unhex(t, v.key)), "by SHA-256": bySHA256, "by HMAC": keyedByHMAC(unhex(t, v.key)),
		} {
			for range 3 { // a state that is used again gives the same
				if got := hex.EncodeToString(mac(unhex(t, v.data))); got != v.mac {
					t.Errorf("vector %d, %s: got %s, want %s", i, name, got, v.mac)
				}
				mac([]byte("another message in between"))
			}
		}
	}
}

// The 64 vectors of SipHash's authors: keys and messages are 0, 1, 2, and so on.
func TestSipHash(t *testing.T) {
	content, err := os.ReadFile("testdata/siphash_2_4_64.txt")
	if err != nil {
		t.Fatal(err)
	}
	bytes := make([]byte, 64)
	for i := range bytes {
		bytes[i] = byte(i)
	}
	mac := sipHash([16]byte(bytes))
	sums := strings.Fields(string(content))
	if len(sums) != 64 || sums[15] != "a129ca6149be45e5" { // appendix A of the paper
		t.Fatal("these are other vectors")
	}
	for n, want := range sums {
		if got := fmt.Sprintf("%016x", mac(bytes[:n])); got != want {
			t.Errorf("%d bytes: got %s, want %s", n, got, want)
		}
	}
}

// FIPS 197, appendix C.3.
func TestLayerIsAES256(t *testing.T) {
	block := layer(unhex(t, "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"))
	var out [16]byte
	block.Encrypt(out[:], unhex(t, "00112233445566778899aabbccddeeff"))
	if got := hex.EncodeToString(out[:]); got != "8ea2b7ca516745bfeafc49904b496089" {
		t.Errorf("got %s", got)
	}
}

// The vectors of testdata were made by a separate implementation: a change of
// any of them breaks linkage with all stored rows.
func TestPublishedVectors(t *testing.T) {
	k := vectorKeyring(t)
	subject := k.SubjectKey("demo")
	f, err := os.Open("testdata/vectors.csv")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	rows, err := csv.NewReader(f).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	for i, row := range rows[1:] {
		id := unhex(t, row[2])
		var got [16]byte
		switch row[0] {
		case "pid":
			shift := hasher(t, k, "agency-a").PID(&got, id)
			if strconv.Itoa(shift) != row[4] {
				t.Errorf("line %d: shift %d, want %s", i+2, shift, row[4])
			}
			if rk := subject(got); strconv.FormatUint(rk, 10) != row[5] {
				t.Errorf("line %d: subject key %d, want %s", i+2, rk, row[5])
			}
		case "record":
			hasher(t, k, gateway.AgencyID(row[1])).RecordKey(&got, id)
		case "key":
			hasher(t, k, "agency-a").Key(&got, row[1], id)
		case "row":
			if sum := fmt.Sprintf("%016x", hasher(t, k, "agency-a").RowMAC(id)); sum != row[3] {
				t.Errorf("line %d: got %s, want %s", i+2, sum, row[3])
			}
			continue
		default:
			t.Fatalf("line %d: unknown kind", i+2)
		}
		if hex.EncodeToString(got[:]) != row[3] {
			t.Errorf("line %d: got %x, want %s", i+2, got, row[3])
		}
	}
}

// The pinned vector of disclosure.md 2.2.
func TestPRFVector(t *testing.T) {
	var v struct {
		KeyHex      string `json:"key_hex"`
		Lineage     string
		Label       string
		Release     string
		FullLabel   string `json:"full_label"`
		U1          string `json:"u1_uint64"`
		U2          string `json:"u2_uint64"`
		K           string `json:"k_uint64"`
		E           string `json:"e_uint64"`
		R           uint64 `json:"minority_r"`
		CK          string `json:"ck_sum_mod_2_64"`
		Domain      string
		Subjects    []string
		SubjectKeys []string `json:"rk_uint64"`
	}
	content, err := os.ReadFile("testdata/prf_vector.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(content, &v); err != nil {
		t.Fatal(err)
	}
	random := prf(unhex(t, v.KeyHex))
	check := func(what, want string, got uint64) {
		t.Helper()
		if strconv.FormatUint(got, 10) != want {
			t.Errorf("%s: got %d, want %s", what, got, want)
		}
	}
	check("u1", v.U1, random("sdc/v2/L1", []byte(v.Lineage), []byte(v.Label)))
	check("u2", v.U2, random("sdc/v2/L2", []byte(v.Release), []byte(v.FullLabel)))
	check("K", v.K, random("sdc/v2/K", []byte(v.Lineage), []byte(v.Label)))
	var ck uint64
	for i, s := range v.Subjects {
		rk := random("sdc/v2/rk", []byte(v.Domain), []byte(s))
		check("rk of "+s, v.SubjectKeys[i], rk)
		ck += rk
	}
	check("ck", v.CK, ck)
	check("E", v.E, random("sdc/v2/E", binary.BigEndian.AppendUint64(nil, v.R), binary.BigEndian.AppendUint64(nil, ck)))
}
