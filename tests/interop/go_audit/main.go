// Verifies checkpoints and proofs of the audit trail with the packages that Go itself uses for its checksum database:
// golang.org/x/mod/sumdb/note and tlog. Arguments: the verifier key, then files. A file is a tlog-proof, or a checkpoint that
// is followed by a file with a consistency proof that starts from it.
package main

import (
	"encoding/base64"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

func must(err error, what string) {
	if err != nil {
		fmt.Fprintln(os.Stderr, what+":", err)
		os.Exit(1)
	}
}

// open checks the signature of a checkpoint and returns the tree that it describes.
func open(text string, verifier note.Verifier) tlog.Tree {
	signed, err := note.Open([]byte(text), note.VerifierList(verifier))
	must(err, "note")
	lines := strings.Split(signed.Text, "\n")
	size, err := strconv.ParseInt(lines[1], 10, 64)
	must(err, "size")
	root, err := tlog.ParseHash(lines[2])
	must(err, "root")
	if lines[0] != verifier.Name() {
		must(fmt.Errorf("%q is not %q", lines[0], verifier.Name()), "origin")
	}
	return tlog.Tree{N: size, Hash: root}
}

func hashes(lines []string) []tlog.Hash {
	var all []tlog.Hash
	for _, line := range lines {
		hash, err := tlog.ParseHash(line)
		must(err, "hash")
		all = append(all, hash)
	}
	return all
}

func read(file string) string {
	bytes, err := os.ReadFile(file)
	must(err, file)
	return string(bytes)
}

func main() {
	verifier, err := note.NewVerifier(os.Args[1])
	must(err, "key")
	for i := 2; i < len(os.Args); i++ {
		text := read(os.Args[i])
		head, checkpoint, _ := strings.Cut(text, "\n\n")
		lines := strings.Split(head, "\n")
		switch {
		case lines[0] == "c2sp.org/tlog-proof@v1":
			entry, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(lines[1], "extra "))
			must(err, "extra")
			index, err := strconv.ParseInt(strings.TrimPrefix(lines[2], "index "), 10, 64)
			must(err, "index")
			tree := open(checkpoint, verifier)
			must(tlog.CheckRecord(hashes(lines[3:]), tree.N, tree.Hash, index, tlog.RecordHash(entry)), "proof")
			fmt.Println("included", index, "of", tree.N)
		default:
			old := open(text, verifier)
			i++
			head, checkpoint, _ := strings.Cut(read(os.Args[i]), "\n\n")
			lines := strings.Split(head, "\n")
			if lines[0] != fmt.Sprintf("old %d", old.N) {
				must(fmt.Errorf("%q", lines[0]), "old")
			}
			tree := open(checkpoint, verifier)
			must(tlog.CheckTree(hashes(lines[1:]), tree.N, tree.Hash, old.N, old.Hash), "consistency")
			fmt.Println("consistent", old.N, "and", tree.N)
		}
	}
}
