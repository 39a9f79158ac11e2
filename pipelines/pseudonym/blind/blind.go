// Package blind computes pseudonyms of which no party sees both sides: the holder of
// identifiers learns no key, the holder of the key no identifier, and a gateway neither
// (trust.md 5.4). It is the VOPRF of RFC 9497 with ristretto255 and SHA-512.
//
// The holder of identifiers calls [Blind] with the pinned [PublicKey] of a key server
// and sends the request; the key server reads it with [ParseRequest] and answers by
// [Key.Evaluate]; [Batch.Finalize] verifies the proof that the pinned key was used, for
// the whole batch at once, and returns the inner pseudonyms: the first 16 bytes of each
// output. [GenerateKey] makes a key, [Key.Seal] and [OpenKey] keep it under age.
//
// What blindness gives: the key server sees random elements of a group and how many,
// and nothing else, whatever it does afterwards; a key server that answers with another
// key is found out. The gateway sees inner pseudonyms, from which no identifier can be
// had without the key server's help. What it does not give: all identification numbers
// of children can be tried in minutes by whoever may ask the key server without a
// limit, or holds its key. So a key server that the gateway's own operator runs is not
// blind in substance, and neither is one that lets an agency ask for more than it has
// children; a gateway that asks for files sent in clear is held to its quota as
// agencies are. Equal children have equal pseudonyms: that is what they are for. Columns beside the
// identifier, birth date and sex among them, are not hidden by this package.
//
// It will not hash identifiers of any other form than its caller gives them, speak
// HTTP, count or limit what is asked: package keyserver does. Errors never hold what was
// blinded, and keys live in closures, because a closure prints as nothing.
package blind

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io"

	"github.com/cloudflare/circl/group"
	"github.com/cloudflare/circl/oprf"
	"github.com/cloudflare/circl/zk/dleq"

	"github.com/pana-exchange/pana/gateway"
)

// MaxBatch is the most identifiers of one request.
const MaxBatch = 10_000

var suite = oprf.SuiteRistretto255

// A PublicKey is that of a key server, pinned by all who ask it.
type PublicKey struct {
	key  *oprf.PublicKey
	text string
}

// ParsePublicKey reads what [PublicKey.String] wrote: 32 bytes in base64url.
func ParsePublicKey(text string) (PublicKey, error) {
	bad := gateway.Errorf(gateway.Invalid, "this is not the public key of a key server: 43 characters of base64url")
	raw, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || len(raw) != elementBytes || base64.RawURLEncoding.EncodeToString(raw) != text {
		return PublicKey{}, bad
	}
	key := new(oprf.PublicKey)
	if key.UnmarshalBinary(suite, raw) != nil { // it refuses the identity, and more than one spelling
		return PublicKey{}, bad
	}
	return PublicKey{key, text}, nil
}

// String returns the key in base64url.
func (p PublicKey) String() string { return p.text }

// A Key is the secret of a key server. It is safe for concurrent use.
type Key struct {
	public   PublicKey
	evaluate func(*oprf.EvaluationRequest) (*oprf.Evaluation, error)
	secret   func() ([]byte, error)
}

// GenerateKey returns a new key. rand is crypto/rand's Reader outside tests.
func GenerateKey(rand io.Reader) (*Key, error) {
	private, err := oprf.GenerateKey(suite, rand)
	if err != nil {
		return nil, fmt.Errorf("making a key: reading randomness: %w", err)
	}
	return newKey(private)
}

func newKey(private *oprf.PrivateKey) (*Key, error) {
	raw, err := private.Public().MarshalBinary()
	if err != nil {
		return nil, errors.New("blind: internal error: a public key that cannot be written")
	}
	public, err := ParsePublicKey(base64.RawURLEncoding.EncodeToString(raw))
	if err != nil {
		return nil, err
	}
	server := oprf.NewVerifiableServer(suite, private)
	return &Key{public: public, evaluate: server.Evaluate, secret: private.MarshalBinary}, nil
}

// PublicKey returns the key that those who ask pin.
func (k *Key) PublicKey() PublicKey { return k.public }

// Evaluate answers a request: each element under the key, and one proof for all.
func (k *Key) Evaluate(r *Request) ([]byte, error) {
	evaluation, err := k.evaluate(&oprf.EvaluationRequest{Elements: r.elements})
	if err != nil {
		return nil, errors.New("blind: evaluating failed")
	}
	proof, err := evaluation.Proof.MarshalBinary()
	if err != nil {
		return nil, errors.New("blind: internal error: a proof that cannot be written")
	}
	response, err := appendElements(newMessage(len(r.elements), len(proof)), evaluation.Elements)
	return append(response, proof...), err
}

// A Batch is what is kept of a request until it is answered. It holds the identifiers,
// and so nothing of it can be printed.
type Batch struct {
	size   int
	finish func(*oprf.Evaluation) ([][]byte, error)
}

// Blind hides inputs from the key server: at most [MaxBatch], each at most 64 KiB. The
// same inputs make another request every time.
func Blind(public PublicKey, inputs [][]byte) (*Batch, []byte, error) {
	return blinded(public, inputs, func(c oprf.VerifiableClient) (*oprf.FinalizeData, *oprf.EvaluationRequest, error) {
		return c.Blind(inputs)
	})
}

func blinded(
	public PublicKey, inputs [][]byte, hide func(oprf.VerifiableClient) (*oprf.FinalizeData, *oprf.EvaluationRequest, error),
) (*Batch, []byte, error) {
	if public.key == nil || len(inputs) == 0 || len(inputs) > MaxBatch {
		return nil, nil, fmt.Errorf("blind: a batch has a pinned key, and 1 to %d identifiers", MaxBatch)
	}
	for _, input := range inputs {
		if len(input) > 1<<16-1 {
			return nil, nil, errors.New("blind: an identifier is too long")
		}
	}
	client := oprf.NewVerifiableClient(suite, public.key)
	kept, asked, err := hide(client)
	if err != nil {
		return nil, nil, errors.New("blind: blinding failed") // one input in 2^252 does that
	}
	request, err := appendElements(newMessage(len(inputs), 0), asked.Elements)
	if err != nil {
		return nil, nil, err
	}
	finish := func(e *oprf.Evaluation) ([][]byte, error) { return client.Finalize(kept, e) }
	return &Batch{size: len(inputs), finish: finish}, request, nil
}

// ErrProof says that a response was not made with the pinned key.
var ErrProof = errors.New("the key server's answer is not proven to be of its pinned key: nothing of it may be used")

// Finalize verifies a response and returns the inner pseudonym of every input.
func (b *Batch) Finalize(response []byte) ([][16]byte, error) {
	outputs, err := b.outputs(response)
	if err != nil {
		return nil, err
	}
	inner := make([][16]byte, len(outputs))
	for i, output := range outputs {
		inner[i] = [16]byte(output)
	}
	return inner, nil
}

func (b *Batch) outputs(response []byte) ([][]byte, error) {
	elements, rest, err := parseMessage(response)
	if err != nil {
		return nil, err
	}
	proof := new(dleq.Proof)
	if len(elements) != b.size || len(rest) != proofBytes || proof.UnmarshalBinary(group.Ristretto255, rest) != nil {
		return nil, errMessage
	}
	outputs, err := b.finish(&oprf.Evaluation{Elements: elements, Proof: proof})
	if err != nil {
		return nil, ErrProof
	}
	return outputs, nil
}
