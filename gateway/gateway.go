// Package gateway holds the nouns of Pana: what a sector agreed to send
// ([Contract]), what a policy revision decided about it ([Plan]), the only thing
// that is ever stored ([Block]), what a release counts ([Definition]), what a
// researcher may ask ([Question]) and gets ([Table]), and how anything fails
// ([Error], [RowError]).
//
// Everything may import this package, and it imports nothing of ours and does
// no input or output. Start with [Contract]; the flow of one upload is
//
//	Contract + Plan → pipelines.Open → Block → warehouse → Receipt
//
// It will not hold a raw identifier: no type here has room for one.
package gateway

// Identifiers are typed so that they cannot be swapped by mistake.
type (
	// ContractID names a contract, and with it one sector: "police", "health", ….
	// It matches [a-z][a-z0-9_]*, because it is also a Rego package and a table.
	ContractID string
	// FieldName names a field of a contract; it matches [a-z][a-z0-9_]*.
	FieldName string
	// CodeListID names a code list: "sex", "kato_region", ….
	CodeListID string
	// AgencyID names an organisation that uploads.
	AgencyID string
	// BatchID names one accepted or attempted upload.
	BatchID string
	// ReleaseID names a release: the lineage, a hyphen, the number ("demo-1").
	ReleaseID string
	// Revision is the SHA-256, in hex, of a policy set: all Rego and its data.
	Revision string
	// Purpose names a purpose for which a key's grant allows questions.
	Purpose string
	// ProblemCode is a stable code of a problem in a row: "IIN_CHECK_DIGIT".
	ProblemCode string
)

// A LoadID tags the rows of one attempt to load a batch. It is random, never a
// sequence: a restored registry must not hand out numbers of orphaned rows.
type LoadID uint64

// A PRF is HMAC-SHA-256 under a secret key that only the closure holds, over the
// label and the length-prefixed parts; its first 8 bytes, big endian
// (disclosure.md 2.2).
type PRF func(label string, parts ...[]byte) uint64

// Text is a label in the three languages of the users.
type Text struct {
	KK string `json:"kk,omitempty" yaml:"kk"`
	RU string `json:"ru,omitempty" yaml:"ru"`
	EN string `json:"en,omitempty" yaml:"en"`
}

// In returns the text in a language ("kk", "ru", "en"), or in English where the
// language has none.
func (t Text) In(lang string) string {
	switch {
	case lang == "kk" && t.KK != "":
		return t.KK
	case lang == "ru" && t.RU != "":
		return t.RU
	}
	return t.EN
}
