package blind

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"filippo.io/age"
	"github.com/cloudflare/circl/group"
	"github.com/cloudflare/circl/oprf"

	"github.com/pana-exchange/pana/gateway"
)

func testKey(tb testing.TB) *Key {
	tb.Helper()
	key, err := GenerateKey(rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	return key
}

func numbered(n int) [][]byte {
	inputs := make([][]byte, n)
	for i := range inputs {
		inputs[i] = fmt.Appendf(nil, "%012d", i)
	}
	return inputs
}

// ask is the whole protocol.
func ask(tb testing.TB, key *Key, public PublicKey, inputs [][]byte) ([][16]byte, error) {
	tb.Helper()
	batch, request, err := Blind(public, inputs)
	if err != nil {
		tb.Fatal(err)
	}
	parsed, err := ParseRequest(request)
	if err != nil || parsed.Len() != len(inputs) {
		tb.Fatal(err)
	}
	response, err := key.Evaluate(parsed)
	if err != nil {
		tb.Fatal(err)
	}
	return batch.Finalize(response)
}

func unhex(t *testing.T, text string) [][]byte {
	t.Helper()
	var out [][]byte
	for part := range strings.SplitSeq(text, ",") {
		raw, err := hex.DecodeString(part)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, raw)
	}
	return out
}

// TestVectors holds client, wire and server against appendix A.1.2 of RFC 9497. The
// server's proof is random, so the published one is finalised in its place.
func TestVectors(t *testing.T) {
	content, err := os.ReadFile("testdata/rfc9497.json")
	if err != nil {
		t.Fatal(err)
	}
	var published struct {
		Secret  string `json:"skSm"`
		Public  string `json:"pkSm"`
		Vectors []struct {
			Blind, BlindedElement, EvaluationElement, Input, Output string
			Proof                                                   struct {
				Proof string `json:"proof"`
			}
		} `json:"vectors"`
	}
	if err = json.Unmarshal(content, &published); err != nil || len(published.Vectors) != 3 {
		t.Fatal(err)
	}
	private := new(oprf.PrivateKey)
	if err = private.UnmarshalBinary(suite, unhex(t, published.Secret)[0]); err != nil {
		t.Fatal(err)
	}
	key, err := newKey(private)
	if err != nil {
		t.Fatal(err)
	}
	if raw, _ := key.public.key.MarshalBinary(); hex.EncodeToString(raw) != published.Public {
		t.Fatal("another public key")
	}
	for _, v := range published.Vectors {
		inputs, want := unhex(t, v.Input), unhex(t, v.Output)
		blinds := make([]oprf.Blind, len(inputs))
		for i, raw := range unhex(t, v.Blind) {
			blinds[i] = group.Ristretto255.NewScalar()
			if err = blinds[i].UnmarshalBinary(raw); err != nil {
				t.Fatal(err)
			}
		}
		batch, request, err := blinded(key.public, inputs, func(c oprf.VerifiableClient) (*oprf.FinalizeData, *oprf.EvaluationRequest, error) {
			return c.DeterministicBlind(inputs, blinds)
		})
		if err != nil || !bytes.Equal(request[headBytes:], bytes.Join(unhex(t, v.BlindedElement), nil)) {
			t.Fatal("blinded otherwise", err)
		}
		parsed, err := ParseRequest(request)
		if err != nil {
			t.Fatal(err)
		}
		response, err := key.Evaluate(parsed)
		elements := bytes.Join(unhex(t, v.EvaluationElement), nil)
		if err != nil || !bytes.Equal(response[headBytes:len(response)-proofBytes], elements) {
			t.Fatal("evaluated otherwise", err)
		}
		for _, r := range [][]byte{response, append(bytes.Clone(response[:len(response)-proofBytes]), unhex(t, v.Proof.Proof)[0]...)} {
			outputs, err := batch.outputs(r)
			if err != nil || !bytes.Equal(bytes.Join(outputs, nil), bytes.Join(want, nil)) {
				t.Fatal("finalised otherwise", err)
			}
		}
	}
}

// TestSameInputSameOutput: what is asked twice, in whatever batch, comes to the same;
// requests for it have no element in common.
func TestSameInputSameOutput(t *testing.T) {
	key := testKey(t)
	inputs := numbered(20)
	one, err := ask(t, key, key.PublicKey(), inputs)
	if err != nil {
		t.Fatal(err)
	}
	two, err := ask(t, key, key.PublicKey(), inputs[7:9])
	if err != nil || two[0] != one[7] || two[1] != one[8] {
		t.Fatal("not a function", err)
	}
	seen := map[[16]byte]bool{}
	for _, y := range one {
		seen[y] = true
	}
	if len(seen) != len(inputs) {
		t.Fatal("two inputs with one output")
	}
	_, r1, _ := Blind(key.PublicKey(), inputs[:1])
	_, r2, _ := Blind(key.PublicKey(), inputs[:1])
	if bytes.Equal(r1, r2) || bytes.Contains(r1, inputs[0]) {
		t.Fatal("a request tells what it asks about")
	}
}

// TestWrongKey: an answer that is not of the pinned key is never used, nor one in which
// a single bit was changed, nor one to another request.
func TestWrongKey(t *testing.T) {
	key, other := testKey(t), testKey(t)
	if _, err := ask(t, other, key.PublicKey(), numbered(3)); !errors.Is(err, ErrProof) {
		t.Fatal(err)
	}
	batch, request, _ := Blind(key.PublicKey(), numbered(2))
	parsed, _ := ParseRequest(request)
	response, _ := key.Evaluate(parsed)
	for at := headBytes; at < len(response); at++ {
		bad := bytes.Clone(response)
		bad[at] ^= 1 << (at % 8)
		if _, err := batch.Finalize(bad); err == nil {
			t.Fatalf("a changed byte %d is accepted", at)
		}
	}
	swapped := bytes.Clone(response)
	copy(swapped[headBytes:], response[headBytes+32:headBytes+64])
	copy(swapped[headBytes+32:], response[headBytes:headBytes+32])
	if _, err := batch.Finalize(swapped); !errors.Is(err, ErrProof) {
		t.Fatal("two answers may be swapped")
	}
	again, _, _ := Blind(key.PublicKey(), numbered(2))
	if _, err := again.Finalize(response); !errors.Is(err, ErrProof) {
		t.Fatal("the answer to another request is accepted")
	}
}

// badMessages is B82 (trust.md 6.4), by name. The encodings that are not canonical, or
// of no element, are of RFC 9496, appendix A.3.
func badMessages(tb testing.TB) map[string][]byte {
	tb.Helper()
	_, good, err := Blind(testKey(tb).PublicKey(), numbered(1))
	if err != nil {
		tb.Fatal(err)
	}
	with := func(element string) []byte {
		raw, err := hex.DecodeString(element)
		if err != nil {
			tb.Fatal(err)
		}
		return append(bytes.Clone(good[:headBytes]), raw...)
	}
	at := func(i int, b byte) []byte {
		m := bytes.Clone(good)
		m[i] = b
		return m
	}
	many := binary.BigEndian.AppendUint32(bytes.Clone(good[:6]), MaxBatch+1)
	for range MaxBatch + 1 {
		many = append(many, good[headBytes:]...)
	}
	return map[string][]byte{
		"empty":                   {},
		"head alone":              good[:headBytes],
		"no element":              at(9, 0)[:headBytes],
		"identity":                with(strings.Repeat("00", 32)),
		"not canonical: p":        with("edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"),
		"not canonical: all ones": with(strings.Repeat("ff", 32)),
		"negative":                with("01" + strings.Repeat("00", 31)),
		"no square":               with("26948d35ca62e643e26a83177332e6b6afeb9d08e4268b650f1f5bbd8d81d371"),
		"33 bytes":                append(bytes.Clone(good), 0),
		"31 bytes":                good[:len(good)-1],
		"a proof":                 append(bytes.Clone(good), make([]byte, proofBytes)...),
		"count of two":            at(9, 2),
		"count of 2^31":           at(6, 0x80),
		"10,001 elements":         many,
		"OPRF":                    at(5, 0),
		"POPRF":                   at(5, 2),
		"P-256":                   at(4, 3),
		"another version":         at(3, '2'),
	}
}

func TestBadMessages(t *testing.T) {
	for name, message := range badMessages(t) {
		_, err := ParseRequest(message)
		if !errors.Is(err, gateway.Invalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, _, err := Blind(testKey(t).PublicKey(), numbered(MaxBatch+1)); err == nil {
		t.Error("10,001 identifiers are blinded")
	}
}

// FuzzMessage is Z14: whatever comes, it is refused as Invalid or is the one spelling of
// what it says; as a response it is never accepted unless the proof holds.
func FuzzMessage(f *testing.F) {
	key := testKey(f)
	batch, good, _ := Blind(key.PublicKey(), numbered(2))
	parsed, _ := ParseRequest(good)
	response, _ := key.Evaluate(parsed)
	f.Add(good)
	f.Add(response)
	for name, message := range badMessages(f) {
		if name != "10,001 elements" {
			f.Add(message)
		}
	}
	f.Fuzz(func(t *testing.T, message []byte) {
		r, err := ParseRequest(message)
		if err == nil {
			again, err := appendElements(newMessage(r.Len(), 0), r.elements)
			if err != nil || !bytes.Equal(again, message) {
				t.Fatal("a request with two spellings")
			}
		} else if !errors.Is(err, gateway.Invalid) {
			t.Fatal(err)
		}
		if _, err = batch.Finalize(message); err == nil && !bytes.Equal(message, response) {
			t.Fatal("an answer that nobody gave")
		}
	})
}

func TestSealedKey(t *testing.T) {
	key := testKey(t)
	identity, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	var sealed bytes.Buffer
	if err = key.Seal(&sealed, identity.Recipient()); err != nil {
		t.Fatal(err)
	}
	opened, err := OpenKey(bytes.NewReader(sealed.Bytes()), identity)
	if err != nil || opened.PublicKey().String() != key.PublicKey().String() {
		t.Fatal("another key", err)
	}
	one, _ := ask(t, key, key.PublicKey(), numbered(1))
	two, err := ask(t, opened, key.PublicKey(), numbered(1))
	if err != nil || one[0] != two[0] {
		t.Fatal("another function", err)
	}
	stranger, _ := age.GenerateX25519Identity()
	if _, err = OpenKey(bytes.NewReader(sealed.Bytes()), stranger); err == nil {
		t.Fatal("a stranger opens it")
	}
	for _, n := range []int{0, 10, sealed.Len() - 1} {
		if _, err = OpenKey(bytes.NewReader(sealed.Bytes()[:n]), identity); err == nil {
			t.Fatalf("%d bytes of it open", n)
		}
	}
}

// TestNothingPrints: neither keys nor identifiers show through any verb.
func TestNothingPrints(t *testing.T) {
	key := testKey(t)
	secret, _ := key.secret()
	batch, _, _ := Blind(key.PublicKey(), [][]byte{[]byte("120823590909")})
	asJSON, _ := json.Marshal([]any{key, batch})
	text := fmt.Sprintf("%v %+v %#v %v %+v %#v", key, key, key, batch, batch, batch) + string(asJSON)
	for _, shape := range []string{hex.EncodeToString(secret), "120823590909", hex.EncodeToString([]byte("120823590909")), fmt.Sprintf("%v", secret)[1:40]} {
		if strings.Contains(text, shape) {
			t.Fatal("a secret prints")
		}
	}
}

func TestPublicKeyText(t *testing.T) {
	key := testKey(t).PublicKey()
	again, err := ParsePublicKey(key.String())
	if err != nil || again.String() != key.String() {
		t.Fatal(err)
	}
	for _, bad := range []string{"", "A", key.String() + "A", key.String() + "=", strings.Repeat("A", 43), key.String()[:42] + "\n", strings.Repeat("_", 43)} {
		if _, err = ParsePublicKey(bad); err == nil {
			t.Errorf("%q is a key", bad)
		}
	}
}

// The benchmarks say what one identifier costs, in batches of 1,000 (trust.md 5.4).
func BenchmarkKeyServer(b *testing.B) {
	key := testKey(b)
	_, request, _ := Blind(key.PublicKey(), numbered(1000))
	for b.Loop() {
		parsed, err := ParseRequest(request)
		if err != nil {
			b.Fatal(err)
		}
		if _, err = key.Evaluate(parsed); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(1000*float64(b.N)/b.Elapsed().Seconds(), "ids/s")
}

func BenchmarkAgency(b *testing.B) {
	key := testKey(b)
	inputs := numbered(1000)
	for b.Loop() {
		batch, again, err := Blind(key.PublicKey(), inputs)
		if err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
		parsed, err := ParseRequest(again)
		if err != nil {
			b.Fatal(err)
		}
		response, _ := key.Evaluate(parsed)
		b.StartTimer()
		if _, err = batch.Finalize(response); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(1000*float64(b.N)/b.Elapsed().Seconds(), "ids/s")
}
