package transfer

// workers is how many runs or models are moved side by side.
const workers = 8
