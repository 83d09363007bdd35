package monitor

// countedLabel is one labelled row as it was counted.
type countedLabel struct {
	bucket  int64
	version string
	outcome outcome
}

// labelMemory remembers the newest labelled rows, so that a label that replaces another takes that one out again.
type labelMemory struct {
	rows map[string][]countedLabel
	ring []string
	next int
}

func newLabelMemory() labelMemory {
	return labelMemory{rows: map[string][]countedLabel{}}
}

func (m *labelMemory) take(id string) ([]countedLabel, bool) {
	c, ok := m.rows[id]
	return c, ok
}

func (m *labelMemory) put(id string, c []countedLabel) {
	if _, ok := m.rows[id]; !ok {
		if len(m.ring) < maxLabelled {
			m.ring = append(m.ring, id)
		} else {
			delete(m.rows, m.ring[m.next])
			m.ring[m.next] = id
			m.next = (m.next + 1) % maxLabelled
		}
	}
	m.rows[id] = c
}
