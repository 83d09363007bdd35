package evalset

// The events that evaluation datasets publish.
const (
	EventCreated = "evalset.created"
	EventChanged = "evalset.changed"
	EventDeleted = "evalset.deleted"
)

type created struct {
	ID   string `json:"dataset_id"`
	Name string `json:"name"`
}

type changed struct {
	ID       string `json:"dataset_id"`
	Digest   string `json:"digest"`
	Inserted int    `json:"inserted,omitempty"`
	Updated  int    `json:"updated,omitempty"`
	Deleted  int64  `json:"deleted,omitempty"`
}
