package certificate_test

import (
	"errors"
	"fmt"
	"os"

	"github.com/privacyops/privacyops/libs/certificate"
)

func ExampleVerify() {
	file, err := os.ReadFile("testdata/certificate.json")
	if err != nil {
		fmt.Println(err)
		return
	}
	report, err := certificate.Verify(file, certificate.Trust{})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(report.Statement.Verdict, "pinned:", report.Pinned)
	for _, system := range report.Statement.Systems {
		for _, d := range system.Datasets {
			fmt.Printf("%s, %s: %d located, %d erased, %d anonymised, %d kept, %d unchanged\n",
				system.System, d.Dataset, d.Located, d.Erased, d.Anonymised, d.Kept, d.Unchanged)
		}
	}

	file[len(file)/2] ^= 1
	_, err = certificate.Verify(file, certificate.Trust{})
	var failed *certificate.VerifyError
	fmt.Println(errors.As(err, &failed))
	// Output:
	// COMPLETE_WITH_KEPT pinned: false
	// lms, assignments: 12 located, 12 erased, 0 anonymised, 0 kept, 0 unchanged
	// lms, marks: 3 located, 0 erased, 0 anonymised, 3 kept, 0 unchanged
	// lms, usage <clicks> & time: 400 located, 1 erased, 399 anonymised, 0 kept, 0 unchanged
	// lms, guardian contacts: 2 located, 1 erased, 0 anonymised, 0 kept, 1 unchanged
	// support-desk, tickets – æøå: 2 located, 2 erased, 0 anonymised, 0 kept, 0 unchanged
	// true
}
