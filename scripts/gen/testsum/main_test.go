package main

import (
	"slices"
	"strings"
	"testing"
)

// Streams as go 1.26 writes them, without the times.
const (
	passing = `{"Action":"start","Package":"p"}
{"Action":"run","Package":"p","Test":"TestA"}
{"Action":"output","Package":"p","Test":"TestA","Output":"=== RUN   TestA\n"}
{"Action":"output","Package":"p","Test":"TestA","Output":"--- PASS: TestA (0.00s)\n"}
{"Action":"pass","Package":"p","Test":"TestA"}
{"Action":"output","Package":"p","Output":"PASS\n"}
{"Action":"output","Package":"p","Output":"ok  \tp\t0.002s\n"}
{"Action":"pass","Package":"p"}
`
	failing = `{"Action":"run","Package":"q","Test":"TestB"}
{"Action":"output","Package":"q","Test":"TestB","Output":"    b_test.go:3: wrong\n"}
{"Action":"fail","Package":"q","Test":"TestB"}
{"Action":"output","Package":"q","Output":"FAIL\n"}
{"Action":"output","Package":"q","Output":"FAIL\tq\t0.002s\n"}
{"Action":"fail","Package":"q"}
`
	skipping = `{"Action":"run","Package":"s","Test":"TestC"}
{"Action":"output","Package":"s","Test":"TestC","Output":"=== RUN   TestC\n"}
{"Action":"output","Package":"s","Test":"TestC","Output":"    c_test.go:9: no server: there is none\n"}
{"Action":"output","Package":"s","Test":"TestC","Output":"--- SKIP: TestC (0.00s)\n"}
{"Action":"skip","Package":"s","Test":"TestC"}
{"Action":"pass","Package":"s"}
`
	unbuilt = `{"ImportPath":"u [u.test]","Action":"build-output","Output":"u.go:1: no such thing\n"}
{"ImportPath":"u [u.test]","Action":"build-fail"}
{"Action":"output","Package":"u","Output":"FAIL\tu [build failed]\n"}
{"Action":"fail","Package":"u","FailedBuild":"u [u.test]"}
`
	panicking = `{"Action":"run","Package":"v","Test":"TestE"}
{"Action":"output","Package":"v","Test":"TestE","Output":"=== PAUSE TestE\n"}
{"Action":"pause","Package":"v","Test":"TestE"}
{"Action":"run","Package":"v","Test":"TestD"}
{"Action":"output","Package":"v","Test":"TestD","Output":"panic: test timed out\n"}
{"Action":"output","Package":"v","Output":"FAIL\tv\t1s\n"}
{"Action":"fail","Package":"v"}
`
)

func TestSummarise(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, stream string
		ok           bool
		want         []string // lines, the last one being the last of the report
		never        string
	}{
		{"a passing package", passing, true,
			[]string{"ok  \tp\t0.002s", "1 passed, 0 failed"}, "=== RUN"},
		{"a failing test shows its output", passing + failing, false,
			[]string{"    b_test.go:3: wrong", "FAIL\tq\t0.002s", "FAIL", "1 passed, 1 failed"}, "=== RUN"},
		{"a skipped test is named with its reason", passing + skipping, true,
			[]string{"skipped s TestC: no server: there is none", "1 skipped, named above", "1 passed, 0 failed"}, "--- SKIP"},
		{"a package that does not build is a failure", passing + unbuilt, false,
			[]string{"u.go:1: no such thing", "FAIL\tu [build failed]", "1 passed, 1 failed"}, "ImportPath"},
		{"a test that never ended failed", panicking, false,
			[]string{"panic: test timed out", "--- DID NOT END: TestD", "--- DID NOT END: TestE", "0 passed, 2 failed"}, "==="},
		{"only skipped tests is no success", skipping, false,
			[]string{"0 passed, 0 failed"}, "{"},
		{"nothing at all is no success", "", false,
			[]string{"0 passed, 0 failed"}, "FAIL"},
		{"what is no event is passed on", "no Go files in x\n" + passing, true,
			[]string{"no Go files in x", "1 passed, 0 failed"}, "{"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var out strings.Builder
			ok, err := summarise(strings.NewReader(tt.stream), &out)
			if err != nil {
				t.Fatal(err)
			}
			if ok != tt.ok {
				t.Errorf("ok = %t, want %t", ok, tt.ok)
			}
			lines := strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
			for _, want := range tt.want {
				if !slices.Contains(lines, want) {
					t.Errorf("no line %q in:\n%s", want, out.String())
				}
			}
			if last, want := lines[len(lines)-1], tt.want[len(tt.want)-1]; last != want {
				t.Errorf("last line %q, want %q", last, want)
			}
			if strings.Contains(out.String(), tt.never) {
				t.Errorf("%q must not show in:\n%s", tt.never, out.String())
			}
		})
	}
}
