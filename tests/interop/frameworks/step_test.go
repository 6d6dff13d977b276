package verify

import (
	"bufio"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"
)

// TestMain does the same as step.py. This is a test file because only code of the package can replace its clock `now`.
func TestMain(*testing.M) {
	var passed time.Duration
	now = func() time.Time { return time.Now().Add(passed) }
	v, _ := New(os.Getenv("ISSUER"), os.Getenv("AUDIENCE"))
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		if seconds := strings.TrimPrefix(lines.Text(), "+"); seconds != lines.Text() {
			more, _ := strconv.Atoi(seconds)
			passed += time.Duration(more) * time.Second
			continue
		}
		if _, err := v.Verify(lines.Text(), "gst"); err != nil {
			fmt.Println(err.(*Refused).Status)
		} else {
			fmt.Println(200)
		}
	}
}
