package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/pana-exchange/pana/configs"
	"github.com/pana-exchange/pana/gateway"
	"github.com/pana-exchange/pana/gateway/exchange"
	"github.com/pana-exchange/pana/gateway/warehouse/rival"
	"github.com/pana-exchange/pana/pipelines/synth"
	"github.com/pana-exchange/pana/policies"
)

// benchPeriod is what the synthetic country reports.
const benchFrom, benchTo = "2023-01-01", "2025-12-31"

// newJob is the police contract under the built-in policies.
func newJob(ctx context.Context, now time.Time) (*rival.Job, error) {
	contracts, err := configs.Contracts()
	if err != nil {
		return nil, err
	}
	set, err := policies.Embedded(ctx)
	if err != nil {
		return nil, err
	}
	for _, contract := range contracts {
		if contract.ID != "police" {
			continue
		}
		plan, err := set.Plan(ctx, contract)
		from, _ := gateway.ParseDay([]byte(benchFrom))
		to, _ := gateway.ParseDay([]byte(benchTo))
		return &rival.Job{Contract: contract, Plan: plan, Agency: "agency-police", From: from, To: to, Today: gateway.DayOf(now)}, err
	}
	return nil, errors.New("there is no police contract")
}

// writePolice writes records of the police of a synthetic country. A country has few
// for its children, so its lines come again under other record ids: to everything
// that is measured they are other records. A share of them has a fault.
func writePolice(file string, rows int, dirty float64) (size int64, err error) {
	country, err := newCountry(synth.Options{Children: min(20000, rows), Seed: 1, Dirty: dirty})
	if err != nil {
		return 0, err
	}
	dir := file + ".country"
	err = writeCountry(country, dir)
	if err != nil {
		return 0, err
	}
	text, err := os.ReadFile(filepath.Join(dir, "police.csv")) //nolint:gosec // this command's own file
	if err != nil {
		return 0, fmt.Errorf("reading the country: %w", err)
	}
	out, err := os.OpenFile(file, os.O_CREATE|os.O_WRONLY|os.O_EXCL, 0o600) //nolint:gosec // this command's own file
	if err != nil {
		return 0, fmt.Errorf("writing the file: %w", err)
	}
	header, lines, _ := bytes.Cut(text, []byte("\n"))
	w := bufio.NewWriterSize(out, 1<<20)
	_, _ = w.Write(append(header, '\n'))
	for written := 0; written < rows; {
		for line := range bytes.Lines(lines) {
			if written == rows {
				break
			}
			_, _ = w.WriteString(strconv.Itoa(written) + "-")
			_, _ = w.Write(line)
			written++
		}
	}
	err = errors.Join(w.Flush(), out.Close(), os.RemoveAll(dir))
	if err != nil {
		return 0, fmt.Errorf("writing the file: %w", err)
	}
	info, err := os.Stat(file)
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

// timed measures a load: wall time, and processor time and memory of processes.
func timed(loader, engine int, load func() error) (run, error) {
	before, beforeEngine := processor(loader), processor(engine)
	start := time.Now()
	err := load()
	r := run{Wall: time.Since(start), Loader: processor(loader) - before, Engine: processor(engine) - beforeEngine}
	return r, err
}

// rivals are the contenders that have no gateway.
func (b *intake) rivals(a *rival.Alone) (selects, loops func(context.Context) (run, error)) {
	selects = func(ctx context.Context) (run, error) {
		err := a.Empty(ctx)
		if err != nil {
			return run{}, err
		}
		return timed(0, a.Pid(), func() error { return a.Select(ctx, b.file) })
	}
	loops = func(ctx context.Context) (run, error) {
		file, err := os.Open(b.file)
		if err != nil {
			return run{}, errors.New("the file cannot be read")
		}
		defer func() { _ = file.Close() }()
		return timed(os.Getpid(), a.Pid(), func() error { return a.Loop(ctx, file) })
	}
	return selects, loops
}

// served is the gateway as a process of its own, a new one each round.
type served struct {
	b      *intake
	name   string
	job    *rival.Job
	secure bool
	faulty bool   // sends the file with faults, to be left out
	pieces bool   // sends in pieces
	last   string // data directory of the last round
}

func (s *served) load(ctx context.Context) (r run, err error) {
	if s.last != "" {
		err = os.RemoveAll(s.last)
		if err != nil {
			return run{}, err
		}
	}
	s.last, err = os.MkdirTemp(s.b.dir, s.name)
	if err != nil {
		return run{}, err
	}
	process, cl, err := s.start(ctx)
	if err != nil {
		return run{}, err
	}
	defer func() {
		_ = process.Process.Signal(syscall.SIGTERM)
		_ = process.Wait()
	}()
	agency, err := s.register(ctx, cl)
	if err != nil {
		return run{}, err
	}
	pid := process.Process.Pid
	atRest := peak(pid)
	sent := uploading{
		contract: "police", file: s.b.file, from: benchFrom, to: benchTo, reject: string(gateway.RejectBatch),
		stream: !s.pieces, resume: s.pieces,
	}
	if s.faulty {
		sent.file, sent.reject = s.b.faulty, string(gateway.RejectRows)
	}
	r, err = timed(pid, engineOf(pid), func() error {
		_, err := agency.upload(ctx, sent, func(int64, int64) {})
		return err
	})
	r.Memory, r.AtRest = peak(pid), atRest
	return r, err
}

// start runs "pana keys init", "pana policy found" and "pana serve" and waits until it is ready.
func (s *served) start(ctx context.Context) (*exec.Cmd, *client, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, nil, err
	}
	out, err := exec.CommandContext(ctx, self, "keys", "init", "--json", "--data", s.last, "--installation", "bench").Output() //nolint:gosec // itself
	var made initialised
	if err == nil {
		err = json.Unmarshal(out, &made)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("pana keys init: %w", err)
	}
	err = exec.CommandContext(ctx, self, "policy", "found", "--data", s.last, "--demonstration").Run() //nolint:gosec // itself
	if err != nil {
		return nil, nil, fmt.Errorf("pana policy found: %w", err)
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, nil, err
	}
	address := listener.Addr().String()
	_ = listener.Close()
	process := exec.CommandContext(ctx, self, "serve", "--data", s.last, "--listen", address) //nolint:gosec // itself
	process.Cancel = func() error { return process.Process.Signal(syscall.SIGTERM) }
	cl := newClient("http://"+address, made.OperatorKey)
	if s.secure {
		certificate, env, err := selfSigned(s.last, s.b.c.now())
		if err != nil {
			return nil, nil, err
		}
		process.Env = append(os.Environ(), env...)
		roots := x509.NewCertPool()
		roots.AddCert(certificate)
		cl = newClient("https://"+address, made.OperatorKey)
		cl.http = &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS13}}}
	}
	err = process.Start()
	if err != nil {
		return nil, nil, err
	}
	waiting, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	err = cl.waitReady(waiting)
	if err != nil {
		_ = process.Process.Kill()
		_ = process.Wait()
		return nil, nil, fmt.Errorf("pana serve is not ready: %w", err)
	}
	return process, cl, nil
}

func (s *served) register(ctx context.Context, operator *client) (*client, error) {
	regions, err := regionCodes()
	if err != nil {
		return nil, err
	}
	err = operator.call(ctx, "POST", "/v1/access/agencies", exchange.Agency{
		ID: s.job.Agency, Contract: s.job.Contract.ID, Title: s.job.Contract.Title, Regions: regions, From: "2023Q1", To: "2025Q4",
	}, nil)
	if err != nil {
		return nil, err
	}
	var made exchange.KeySpec
	err = operator.call(ctx, "POST", "/v1/access/keys", exchange.KeySpec{Role: gateway.RoleAgency, Agency: s.job.Agency}, &made)
	agency := newClient(operator.base, made.Token)
	agency.http = operator.http
	return agency, err
}

// fingerprint looks at what the last round stored; its gateway has ended.
func (s *served) fingerprint(ctx context.Context) (string, error) {
	config, err := configs.Load("", map[string]any{"data": s.last})
	if err != nil {
		return "", err
	}
	return rival.FingerprintOf(ctx, pathsOf(s.last).engine, config.ClickHouse.Name, s.job)
}

// processor is the processor time of a process until now; of 0, none.
func processor(pid int) time.Duration {
	if pid == 0 {
		return 0
	}
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	_, rest, found := strings.Cut(string(stat), ") ")
	fields := strings.Fields(rest)
	if err != nil || !found || len(fields) < 13 {
		return 0
	}
	const tick = 10 * time.Millisecond // USER_HZ is 100 wherever Go runs
	user, _ := strconv.Atoi(fields[11])
	system, _ := strconv.Atoi(fields[12])
	return time.Duration(user+system) * tick
}

// peak is the largest resident memory of a process until now, in bytes.
func peak(pid int) int64 {
	status, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	for line := range strings.Lines(string(status)) {
		if rest, found := strings.CutPrefix(line, "VmHWM:"); found {
			kilobytes, _ := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
			return kilobytes * 1024
		}
	}
	return 0
}

// engineOf finds the engine of a gateway: its only child.
func engineOf(parent int) int {
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, stat := range stats {
		text, err := os.ReadFile(stat) //nolint:gosec // of /proc
		_, rest, found := strings.Cut(string(text), ") ")
		fields := strings.Fields(rest)
		if err == nil && found && len(fields) > 1 && fields[1] == strconv.Itoa(parent) {
			pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(stat)))
			return pid
		}
	}
	return 0
}
