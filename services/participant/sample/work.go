package sample

import (
	"fmt"
	"strings"
)

// work writes assignments, submissions with their files, and grades.
func (b *builder) work() {
	r := random(partWork)
	for _, c := range b.courses {
		for i, topic := range c.subject.topics {
			due := 14 + 28*i + int(c.id)%7
			assignment := b.add("assignments", c.id, topic, c.teacher, day(due))
			for _, pupil := range b.classes[c.class].pupils {
				if pupil == pupilKey || r.IntN(5) > 0 {
					b.submission(r, c, assignment, b.person(pupil), topic, due)
				}
			}
		}
	}
}

// submission writes one pupil's work, which is signed as pupils do.
func (b *builder) submission(r *dice, c course, assignment int64, p Person, topic string, due int) {
	body := fmt.Sprintf("%s\nAf %s, %s\n\n%s", topic, p.DisplayName, b.classes[c.class].name, prose(r, 3))
	id := b.add("submissions", assignment, p.Key, body, minute(due-1, 480+r.IntN(300)))
	if p.Key == pupilKey || r.IntN(2) == 0 {
		name := strings.ReplaceAll(plain(topic), " ", "-") + "-" + p.UniLogin + ".txt"
		b.add("submission_files", id, name, "text/plain", []byte(p.DisplayName+": "+prose(r, 2)))
	}
	if p.Key == pupilKey || r.IntN(4) > 0 {
		b.add("grades", id, p.Key, c.teacher, pick(r, marks), "Kære "+p.FirstName+". "+pick(r, feedback), minute(due+5, 540))
	}
}

func prose(r *dice, n int) string {
	out := make([]string, n)
	for i := range out {
		out[i] = pick(r, sentences)
	}
	return strings.Join(out, " ")
}
