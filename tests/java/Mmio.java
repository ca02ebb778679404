/* SPDX-License-Identifier: BSD-3-Clause */
// Mmio.java: a Java virtual machine lives on SIGSEGV: null pointers, safepoints and the ends of stacks are faults that its compiled code counts on. This program makes all of them while its threads drive a
// device through a mapped BAR, by code that the virtual machine compiled (a direct buffer over the BAR) and by native code. tests/jvm.sh runs it under `uvfio run --device testdev`.
import java.nio.ByteBuffer;
import java.nio.ByteOrder;

public class Mmio {
	static native int open();
	static native ByteBuffer map(int region, int size);
	static native void decode(boolean on);
	static native int add(ByteBuffer b, int offset, int n); // lock xadd
	static native int load(ByteBuffer b, int offset);

	// docs/testdev.md
	static final int ID = 0x000, ID_VALUE = 0x54465655, SCRATCH32 = 0x024, SCRATCH64 = 0x028;
	static ByteBuffer regs, ram;
	static int failed;

	static class Node {
		Node next;
		int value;
	}

	static void check(String name, boolean ok) {
		System.out.println((ok ? "ok   " : "FAIL ") + name);
		if (!ok)
			failed++;
	}

	static int follow(Node n) {
		return n.next.value; // no test for null in compiled code: it faults
	}

	static int nulls(int times) {
		Node some = new Node(), none = new Node();
		int caught = 0;

		some.next = some;
		for (int i = 0; i < times; i++) {
			try {
				follow(i % 3 == 0 ? none : some);
			} catch (NullPointerException e) {
				caught++;
			}
		}
		return caught;
	}

	static int depth;

	static void deeper() {
		depth++;
		deeper();
	}

	static boolean overflow() {
		try {
			depth = 0;
			deeper();
			return false;
		} catch (StackOverflowError e) {
			return depth > 100;
		}
	}

	// compiled after some thousand rounds
	static boolean storesAndLoads(int times) {
		for (int i = 0; i < times; i++) {
			regs.putInt(SCRATCH32, i);
			if (regs.getInt(SCRATCH32) != i)
				return false;
			if (regs.getInt(ID) != ID_VALUE)
				return false;
			regs.putLong(SCRATCH64, (long)i << 33 | 1);
			if (regs.getLong(SCRATCH64) != ((long)i << 33 | 1))
				return false;
		}
		return true;
	}

	static boolean copies() {
		byte[] a = new byte[5000], b = new byte[5000];

		for (int i = 0; i < a.length; i++)
			a[i] = (byte)(i * 13);
		for (int n = 0; n < 20; n++) {
			ram.put(7 + n, a, 0, a.length);
			ram.get(7 + n, b, 0, b.length);
			if (!java.util.Arrays.equals(a, b))
				return false;
			a[n] ^= 0x55;
		}
		return true;
	}

	// memory decoding off: SIGBUS, which the virtual machine makes an error of, soon ("a fault occurred in a recent unsafe memory access")
	static boolean busError() throws Exception {
		int caught = 0;

		decode(false);
		for (int i = 0; i < 3; i++) {
			try {
				regs.getInt(ID);
				for (int k = 0; k < 100; k++)
					Thread.sleep(1);
			} catch (InternalError e) {
				caught++;
			}
		}
		decode(true);
		return caught == 3 && regs.getInt(ID) == ID_VALUE;
	}

	static volatile boolean stop;
	static volatile int wrong;

	static Thread start(Runnable what) {
		Thread t = new Thread(() -> {
			try {
				while (!stop)
					what.run();
			} catch (Throwable e) {
				e.printStackTrace();
				wrong++;
			}
		});
		t.start();
		return t;
	}

	static Object keep;

	static boolean together(long ms) throws Exception {
		ram.putInt(64, 0);
		final int[] added = new int[1];
		Thread[] all = {
			start(() -> { if (nulls(300) != 100) wrong++; }),
			start(() -> { if (!storesAndLoads(50)) wrong++; }),
			start(() -> { if (!overflow()) wrong++; }),
			start(() -> { add(ram, 64, 1); added[0]++; if (load(regs, ID) != ID_VALUE) wrong++; }),
			start(() -> { byte[][] g = new byte[100][]; for (int i = 0; i < 100; i++) g[i] = new byte[10000]; keep = g; }),
			start(() -> { System.gc(); }),
		};
		Thread.sleep(ms);
		stop = true;
		for (Thread t : all)
			t.join();
		return wrong == 0 && added[0] > 0 && ram.getInt(64) == added[0];
	}

	public static void main(String[] args) throws Exception {
		System.load(args[0]);
		int err = open();
		if (err != 0) {
			System.out.println("FAIL open: errno " + err);
			System.exit(1);
		}
		regs = map(2, 4096).order(ByteOrder.LITTLE_ENDIAN);
		ram = map(0, 65536).order(ByteOrder.LITTLE_ENDIAN);
		check("null pointers by faults", nulls(300000) == 100000);
		check("the end of a stack", overflow());
		check("registers by native code", load(regs, ID) == ID_VALUE);
		check("registers by compiled Java code", storesAndLoads(20000));
		check("null pointers again", nulls(30000) == 10000);
		check("copies of arrays", copies());
		check("bus errors are InternalError", busError());
		check("all at once, with collections of garbage", together(2000));
		System.exit(failed == 0 ? 0 : 1);
	}
}
