// Package trash walks what is deleted through a whole server: into the trash, back, and away for good.
package trash
