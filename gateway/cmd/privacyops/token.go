package main

import (
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/privacyops/privacyops/libs/access"
)

// tokenCommand makes tokens of the development issuer.
type tokenCommand struct {
	Data        string        `help:"Data folder of the installation." default:".privacyops" env:"PRIVACYOPS_DATA"`
	Role        string        `help:"Role of the holder." enum:"platform,partner,dpo,auditor,operator,sre" required:""`
	Controller  []string      `help:"Controller that the token reaches; may be repeated. '*' for the operator alone." required:""`
	SubjectName string        `help:"Name that tells the holder from others: two people need two names." default:"development"`
	Expires     time.Duration `help:"How long it lives." default:"1h"`
}

// Run prints a token.
func (c *tokenCommand) Run() error {
	for _, id := range c.Controller {
		if id == "*" && c.Role != "operator" {
			return errors.New("only the operator reaches all controllers; name the controllers")
		}
	}
	issuer, err := access.OpenIssuer(filepath.Join(c.Data, "keys"))
	if err != nil {
		return err
	}
	now := time.Now()
	token, err := issuer.Token(access.Claims{Subject: c.SubjectName, Roles: []string{c.Role}, Controllers: c.Controller, Issued: now, Expires: now.Add(c.Expires)})
	if err != nil {
		return err
	}
	fmt.Println(token)
	return nil
}
