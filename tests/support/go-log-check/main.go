// Checks a certhub log by software that certhub's authors did not write: golang.org/x/mod/sumdb/note reads signed notes,
// golang.org/x/mod/sumdb/tlog reads tiles, proves and checks. It walks the whole log: every tile against the signed root, every entry
// against its leaf, every older checkpoint against the newest one, and the proof files that the hub handed out.
//
//	go-log-check -log URL -vkey VKEY [-witness VKEY]… [-checkpoint FILE]… [-proof FILE:KIND:COMMITMENT]…
package main

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

type list []string

func (l *list) String() string     { return strings.Join(*l, ",") }
func (l *list) Set(s string) error { *l = append(*l, s); return nil }

func main() {
	var witnesses, checkpoints, proofs list
	log := flag.String("log", "", "address of the log, without slash at its end")
	vkey := flag.String("vkey", "", "verifier key of the log")
	flag.Var(&witnesses, "witness", "verifier key of a witness that must have cosigned")
	flag.Var(&checkpoints, "checkpoint", "file with an older checkpoint")
	flag.Var(&proofs, "proof", "FILE:KIND:COMMITMENT, a tlog-proof, the number of the record's kind and its commitment in hex")
	flag.Parse()
	if err := check(*log, *vkey, witnesses, checkpoints, proofs); err != nil {
		fmt.Println("not ok:", err)
		os.Exit(1)
	}
}

func check(log, vkey string, witnesses, checkpoints, proofs []string) error {
	verifier, err := note.NewVerifier(vkey)
	if err != nil {
		return err
	}
	signed, err := fetch(log + "/checkpoint")
	if err != nil {
		return err
	}
	tree, text, err := open(signed, verifier)
	if err != nil {
		return err
	}
	fmt.Printf("checkpoint of %d entries, signed by %s\n", tree.N, verifier.Name())
	for _, key := range witnesses {
		if err := cosigned(signed, text, key); err != nil {
			return err
		}
		fmt.Println("cosigned by", strings.SplitN(key, "+", 2)[0])
	}
	if tree.N == 0 {
		return errors.New("the log is empty")
	}
	hashes := tlog.TileHashReader(tree, tiles{log})
	if err := entries(log, tree, hashes); err != nil {
		return err
	}
	for _, file := range checkpoints {
		if err := older(file, verifier, tree, hashes); err != nil {
			return fmt.Errorf("%s: %v", file, err)
		}
	}
	for _, each := range proofs {
		if err := proof(each, verifier); err != nil {
			return fmt.Errorf("%s: %v", each, err)
		}
	}
	fmt.Printf("ok: %d entries, %d older checkpoints, %d proofs\n", tree.N, len(checkpoints), len(proofs))
	return nil
}

func open(signed []byte, verifier note.Verifier) (tree tlog.Tree, text string, err error) {
	n, err := note.Open(signed, note.VerifierList(verifier))
	if err != nil {
		return tree, "", err
	}
	lines := strings.Split(n.Text, "\n")
	if len(lines) != 4 || lines[0] != verifier.Name() || lines[3] != "" {
		return tree, "", fmt.Errorf("not a checkpoint of %s: %q", verifier.Name(), n.Text)
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	if err != nil || strconv.FormatInt(size, 10) != lines[1] {
		return tree, "", fmt.Errorf("size %q", lines[1])
	}
	root, err := base64.StdEncoding.DecodeString(lines[2])
	if err != nil || len(root) != tlog.HashSize {
		return tree, "", fmt.Errorf("root %q", lines[2])
	}
	tree.N = size
	copy(tree.Hash[:], root)
	return tree, n.Text, nil
}

// cosigned verifies a cosignature/v1 (C2SP tlog-cosignature): note itself knows plain Ed25519 signatures only.
func cosigned(signed []byte, text, vkey string) error {
	parts := strings.SplitN(vkey, "+", 3)
	if len(parts) != 3 {
		return fmt.Errorf("witness key %q", vkey)
	}
	key, err := base64.StdEncoding.DecodeString(parts[2])
	if err != nil || len(key) != 33 || key[0] != 4 {
		return fmt.Errorf("witness key %q", vkey)
	}
	id := sha256.Sum256(append([]byte(parts[0]+"\n"), key...))
	if hex.EncodeToString(id[:4]) != parts[1] {
		return fmt.Errorf("witness key %q has another id", vkey)
	}
	for _, line := range strings.Split(string(signed), "\n") {
		fields := strings.Split(line, " ")
		if len(fields) != 3 || fields[0] != "—" || fields[1] != parts[0] {
			continue
		}
		sig, err := base64.StdEncoding.DecodeString(fields[2])
		if err != nil || len(sig) != 76 || !bytes.Equal(sig[:4], id[:4]) {
			continue
		}
		message := fmt.Sprintf("cosignature/v1\ntime %d\n%s", binary.BigEndian.Uint64(sig[4:12]), text)
		if !ed25519.Verify(key[1:], []byte(message), sig[12:]) {
			return fmt.Errorf("the cosignature of %s is wrong", parts[0])
		}
		return nil
	}
	return fmt.Errorf("not cosigned by %s", parts[0])
}

// entries reads every entry bundle and compares each entry with its leaf, which TileHashReader proves against the root.
func entries(log string, tree tlog.Tree, hashes tlog.HashReader) error {
	const width = 256
	for first := int64(0); first < tree.N; first += width {
		count := tree.N - first
		if count > width {
			count = width
		}
		bundle, err := fetch(log + "/tile/entries/" + tilePath(first/width, int(count)))
		if err != nil {
			return err
		}
		indexes := make([]int64, count)
		leaves := make([]tlog.Hash, count)
		for i := range indexes {
			if len(bundle) < 2 {
				return fmt.Errorf("bundle %d is short", first/width)
			}
			length := int(binary.BigEndian.Uint16(bundle))
			if length != 34 || len(bundle) < 2+length {
				return fmt.Errorf("entry %d has %d bytes", first+int64(i), length)
			}
			leaves[i] = tlog.RecordHash(bundle[2 : 2+length])
			bundle = bundle[2+length:]
			indexes[i] = tlog.StoredHashIndex(0, first+int64(i))
		}
		if len(bundle) != 0 {
			return fmt.Errorf("bundle %d is long", first/width)
		}
		stored, err := hashes.ReadHashes(indexes)
		if err != nil {
			return err
		}
		for i := range stored {
			if stored[i] != leaves[i] {
				return fmt.Errorf("entry %d is not its leaf", first+int64(i))
			}
		}
	}
	return nil
}

func older(file string, verifier note.Verifier, tree tlog.Tree, hashes tlog.HashReader) error {
	signed, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	old, _, err := open(signed, verifier)
	if err != nil {
		return err
	}
	if old.N == 0 {
		return nil
	}
	path, err := tlog.ProveTree(tree.N, old.N, hashes)
	if err != nil {
		return err
	}
	return tlog.CheckTree(path, tree.N, tree.Hash, old.N, old.Hash)
}

// proof checks a C2SP tlog-proof of one entry: version 1, kind, commitment.
func proof(argument string, verifier note.Verifier) error {
	parts := strings.Split(argument, ":")
	if len(parts) != 3 {
		return errors.New("FILE:KIND:COMMITMENT")
	}
	kind, err := strconv.ParseUint(parts[1], 10, 8)
	if err != nil {
		return err
	}
	commitment, err := hex.DecodeString(parts[2])
	if err != nil || len(commitment) != 32 {
		return errors.New("commitment")
	}
	content, err := os.ReadFile(parts[0])
	if err != nil {
		return err
	}
	head, signed, found := strings.Cut(string(content), "\n\n")
	if !found {
		return errors.New("no checkpoint in it")
	}
	lines := strings.Split(head, "\n")
	if lines[0] != "c2sp.org/tlog-proof@v1" || len(lines) < 2 || !strings.HasPrefix(lines[1], "index ") {
		return errors.New("not a tlog-proof")
	}
	index, err := strconv.ParseInt(strings.TrimPrefix(lines[1], "index "), 10, 64)
	if err != nil {
		return err
	}
	var path tlog.RecordProof
	for _, line := range lines[2:] {
		raw, err := base64.StdEncoding.DecodeString(line)
		if err != nil || len(raw) != tlog.HashSize {
			return fmt.Errorf("hash %q", line)
		}
		var h tlog.Hash
		copy(h[:], raw)
		path = append(path, h)
	}
	tree, _, err := open([]byte(signed), verifier)
	if err != nil {
		return err
	}
	entry := append([]byte{1, byte(kind)}, commitment...)
	return tlog.CheckRecord(path, tree.N, tree.Hash, index, tlog.RecordHash(entry))
}

// tiles reads the log's tiles. The paths of x/mod have the tile's height in them, those of C2SP tlog-tiles (always 8) have not.
type tiles struct{ log string }

func (t tiles) Height() int                     { return 8 }
func (t tiles) SaveTiles([]tlog.Tile, [][]byte) {}
func (t tiles) ReadTiles(wanted []tlog.Tile) ([][]byte, error) {
	all := make([][]byte, len(wanted))
	for i, tile := range wanted {
		data, err := fetch(fmt.Sprintf("%s/tile/%d/%s", t.log, tile.L, tilePath(tile.N, tile.W)))
		if err != nil {
			return nil, err
		}
		all[i] = data
	}
	return all, nil
}

func tilePath(n int64, w int) string {
	path := fmt.Sprintf("%03d", n%1000)
	for n >= 1000 {
		n /= 1000
		path = fmt.Sprintf("x%03d/%s", n%1000, path)
	}
	if w < 256 {
		path += fmt.Sprintf(".p/%d", w)
	}
	return path
}

func fetch(url string) ([]byte, error) {
	answer, err := http.Get(url)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		return nil, err
	}
	if answer.StatusCode != 200 {
		return nil, fmt.Errorf("%s: %s", url, answer.Status)
	}
	return body, nil
}
