"""What happens without anybody asking: timers fire, what a dead server left behind is taken up, what expired is removed."""
