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

// The same as step.py. It is a test because only tests can set the clock of the package.
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
