package pseudonym

import (
	"bytes"
	"crypto/rand"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"filippo.io/age"
	"pgregory.net/rapid"
)

// A pid that was moved to another epoch is the one that is made there at once, for any
// identifier and any line of epochs; the zero pid stays; and the subject key, on which
// noise and thresholds hang, never changes (trust.md 5.3, disclosure.md 2.2).
func TestRekeyIsFresh(t *testing.T) {
	start := vectorKeyring(t)
	rapid.Check(t, func(rt *rapid.T) {
		ring, seed := start, rapid.Uint64().Draw(rt, "seed")
		random := newStream(seed)
		ids := rapid.SliceOfN(rapid.StringMatching(`[0-9]{12}`), 1, 20).Draw(rt, "ids")
		pids := make([][16]byte, len(ids)+1) // the last has none
		for i, id := range ids {
			hasher(t, ring, "a").PID(&pids[i], []byte(id))
		}
		subject := ring.SubjectKey("demo")
		want := make([]uint64, len(ids))
		for i := range ids {
			want[i] = subject(pids[i])
		}
		for range rapid.IntRange(1, 4).Draw(rt, "rotations") {
			more, err := ring.WithNewEpoch(random)
			if err != nil {
				rt.Fatal(err)
			}
			epochs := more.Epochs()
			to := epochs[len(epochs)-1]
			move, err := more.Rekey(to)
			if err != nil {
				rt.Fatal(err)
			}
			move(pids)
			next, err := more.At(to)
			if err != nil {
				rt.Fatal(err)
			}
			ring, err = next.WithoutEpoch(more.Epoch())
			if err != nil {
				rt.Fatal(err)
			}
			for i, id := range ids {
				var fresh [16]byte
				hasher(t, ring, "a").PID(&fresh, []byte(id))
				if fresh != pids[i] || ring.SubjectKey("demo")(pids[i]) != want[i] {
					rt.Fatal("a pid that was moved is not the one that is made")
				}
			}
			if pids[len(ids)] != ([16]byte{}) {
				rt.Fatal("a row without a pid has one")
			}
		}
	})
}

// newStream is randomness that a seed decides.
func newStream(seed uint64) *stream { return &stream{seed: seed} }

type stream struct{ seed uint64 }

func (s *stream) Read(p []byte) (int, error) {
	for i := range p {
		s.seed = s.seed*6364136223846793005 + 1442695040888963407
		p[i] = byte(s.seed >> 33)
	}
	return len(p), nil
}

func TestEpochs(t *testing.T) {
	k := vectorKeyring(t)
	two, err := k.WithNewEpoch(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	second, err := two.At(2)
	if err != nil {
		t.Fatal(err)
	}
	if two.Epoch() != 1 || two.KCV() != k.KCV() || second.KCV() == k.KCV() || second.Epoch() != 2 {
		t.Error("a new epoch changed what is in force, or changes nothing")
	}
	if _, err := k.At(2); err == nil {
		t.Error("an epoch that is not there")
	}
	if _, err := two.Rekey(1); err == nil {
		t.Error("rekeyed to the same epoch")
	}
	if _, err := two.WithoutEpoch(1); err == nil {
		t.Error("the key in force was left out")
	}
	last, err := second.WithoutEpoch(1)
	if err != nil {
		t.Fatal(err)
	}
	third, err := last.WithNewEpoch(rand.Reader)
	if err != nil || !slices.Equal(third.Epochs(), []int{2, 3}) {
		t.Errorf("epochs %v, %v: a number is used twice", third.Epochs(), err)
	}
	second.Forget(1)
	if _, outer := two.keys(); !bytes.Equal(outer[1], make([]byte, keyBytes)) {
		t.Error("a key that was forgotten is there")
	}
	second.Forget(2)
	if second.KCV() != last.KCV() {
		t.Error("the key in force was forgotten")
	}
}

// Plain age opens what we seal for two custodians, run twice, and we open what it seals;
// in the wrong order, or one without the other, nobody does (trust.md 4.3, 5.1).
func TestPlainAgeOpensKeyrings(t *testing.T) {
	age_, err := exec.LookPath("age")
	if err != nil {
		t.Skip("there is no age: go install filippo.io/age/cmd/age@v1.3.2")
	}
	operator, officer := identity(t), identity(t)
	k := vectorKeyring(t)
	var sealed bytes.Buffer
	if err := k.Seal(&sealed, operator.Recipient(), officer.Recipient()); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for name, id := range map[string]string{"operator": operator.String(), "officer": officer.String()} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(id+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	decrypt := func(content []byte, who string) ([]byte, error) {
		c := exec.Command(age_, "-d", "-i", filepath.Join(dir, who))
		c.Stdin = bytes.NewReader(content)
		return c.Output()
	}
	if _, err := decrypt(sealed.Bytes(), "operator"); err == nil {
		t.Error("the operator's identity opens the officer's layer")
	}
	once, err := decrypt(sealed.Bytes(), "officer")
	if err != nil {
		t.Fatal(err)
	}
	twice, err := decrypt(once, "operator")
	if err != nil {
		t.Fatal(err)
	}
	opened, err := Parse(twice)
	if err != nil || opened.KCV() != k.KCV() {
		t.Fatalf("what age opened is another keyring: %v", err)
	}
	again, err := Open(bytes.NewReader(sealed.Bytes()), operator, officer)
	if err != nil || again.KCV() != k.KCV() || again.Layers() != 2 {
		t.Fatalf("two custodians do not open it: %v", err)
	}
	for _, ids := range [][]age.Identity{{operator}, {officer}, {officer, officer}} {
		if _, err := Open(bytes.NewReader(sealed.Bytes()), ids...); err == nil {
			t.Error("one custodian opens it")
		}
	}
}

func TestRecovery(t *testing.T) {
	offline := identity(t)
	k, err := vectorKeyring(t).WithRecovery(offline.Recipient().String())
	if err != nil {
		t.Fatal(err)
	}
	var copied bytes.Buffer
	if err := k.SealRecovery(&copied); err != nil {
		t.Fatal(err)
	}
	opened, err := Open(&copied, offline)
	if err != nil || opened.KCV() != k.KCV() || opened.Recovery() != k.Recovery() || opened.Layers() != 1 {
		t.Fatalf("the copy for recovery: %v", err)
	}
	if _, err := vectorKeyring(t).WithRecovery("age1nobody"); err == nil {
		t.Error("a recipient that is none")
	}
	if err := vectorKeyring(t).SealRecovery(&copied); err == nil {
		t.Error("a copy for nobody")
	}
}

// A scrypt custodian is as good, and passphrases that demand too much work are refused
// at once (trust.md B81).
func TestScryptCustodian(t *testing.T) {
	passphrase, err := age.NewScryptRecipient("correct horse battery staple")
	if err != nil {
		t.Fatal(err)
	}
	passphrase.SetWorkFactor(10)
	officer := identity(t)
	var sealed bytes.Buffer
	if err := vectorKeyring(t).Seal(&sealed, passphrase, officer.Recipient()); err != nil {
		t.Fatal(err)
	}
	for _, ids := range [][]age.Identity{{scrypt(t, "correct horse battery staple"), officer}, {officer, scrypt(t, "correct horse battery staple")}} {
		if _, err := Open(bytes.NewReader(sealed.Bytes()), ids...); err != nil {
			t.Error(err)
		}
	}
	begun := time.Now()
	if _, err := Open(bytes.NewReader(sealed.Bytes()), officer, scrypt(t, "another")); err == nil || time.Since(begun) > 2*time.Second {
		t.Errorf("a wrong passphrase: %v after %v", err, time.Since(begun))
	}
}

// Whatever a keyring file holds, Open ends, soon, with a keyring that works or an error
// that says nothing of it (trust.md 6.3 Z8).
func FuzzOpen(f *testing.F) {
	id, err := age.ParseX25519Identity("AGE-SECRET-KEY-1QQPQYTNCKE6JUKQTG9WHVUNGC4AUVTM9YN3X9EPLWFH8V57YZRQSTCWVPQ")
	if err != nil {
		id, err = age.GenerateX25519Identity()
	}
	if err != nil {
		f.Fatal(err)
	}
	var sealed, twice bytes.Buffer
	k := vectorKeyring(f)
	if err := k.Seal(&sealed, id.Recipient()); err != nil {
		f.Fatal(err)
	}
	if err := k.Seal(&twice, id.Recipient(), id.Recipient()); err != nil {
		f.Fatal(err)
	}
	f.Add(sealed.Bytes())
	f.Add(twice.Bytes())
	f.Add([]byte("age-encryption.org/v1\n-> scrypt AAAAAAAAAAAAAAAAAAAAAA 30\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n---"))
	f.Fuzz(func(t *testing.T, content []byte) {
		ring, err := Open(bytes.NewReader(content), id, id)
		if err == nil && (ring.Layers() < 1 || len(ring.KCV()) != 32) {
			t.Fatal("a keyring that does not work was opened")
		}
	})
}

// BenchmarkRekey reports the time of one pid.
func BenchmarkRekey(b *testing.B) {
	ring, err := vectorKeyring(b).WithNewEpoch(rand.Reader)
	if err != nil {
		b.Fatal(err)
	}
	move, err := ring.Rekey(2)
	if err != nil {
		b.Fatal(err)
	}
	pids := make([][16]byte, 1<<14)
	for i := range pids {
		pids[i][0], pids[i][1], pids[i][2] = byte(i), byte(i>>8), 1
	}
	for b.Loop() {
		move(pids)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(pids)), "ns/pid")
}
